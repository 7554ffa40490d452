"""A list of notes, kept in memory: one page, one form, one JSON address."""
import os

from flask import Flask, jsonify, redirect, render_template, request

app = Flask(__name__)
notes = ["Push me with: cupola push"]


@app.get("/")
def page():
    return render_template("notes.html", notes=notes, instance=os.environ.get("CF_INSTANCE_INDEX", "0"))


@app.post("/")
def add():
    text = request.form.get("text", "").strip()
    if text:
        notes.append(text[:200])
    return redirect("/")


@app.get("/notes.json")
def as_json():
    return jsonify(notes)
