// What a bundler does in a real app: makes the page that the server, which is Python's, hands out.
const { mkdirSync, writeFileSync } = require('node:fs');

mkdirSync('static', { recursive: true });
writeFileSync('static/index.html', '<!doctype html><title>Two</title><h1>Made by Node.js, served by Python</h1>\n');
