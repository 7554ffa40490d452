import { expect, test } from 'vitest';
import { aFolder } from '../fixtures.ts';
import { readFacts, startCommand } from './start-command.ts';

const command = (files: Record<string, string>, ...programs: string[]): string | null => {
  using app = aFolder(files);
  return startCommand(readFacts(app.path, new Set(programs)));
};
const FLASK = { 'app.py': 'from flask import Flask\napp = Flask(__name__)\n' };

test('startCommand() of Django is gunicorn where it is installed, else its own server', () => {
  const django = { 'manage.py': '', 'mysite/wsgi.py': '', 'polls/models.py': '' };
  expect(command(django, 'gunicorn')).toBe('gunicorn --bind 0.0.0.0:$PORT mysite.wsgi');
  expect(command(django)).toBe('python manage.py runserver --noreload 0.0.0.0:$PORT');
  const below = { 'site/manage.py': '', 'site/mysite/wsgi.py': '' };
  expect(command(below, 'gunicorn')).toBe('gunicorn --chdir site --bind 0.0.0.0:$PORT mysite.wsgi');
  expect(command(below)).toBe('python site/manage.py runserver --noreload 0.0.0.0:$PORT');
});

test("startCommand() serves a module's application object by the server that is installed", () => {
  expect(command(FLASK, 'gunicorn', 'flask')).toBe('gunicorn --bind 0.0.0.0:$PORT app:app');
  expect(command(FLASK, 'flask')).toBe('flask --app app:app run --host 0.0.0.0 --port $PORT');
  expect(command(FLASK, 'waitress-serve')).toBe('waitress-serve --listen=0.0.0.0:$PORT app:app');
  const fast = { 'main.py': 'from fastapi import FastAPI\napi: FastAPI = FastAPI(title="x")\n' };
  expect(command(fast, 'uvicorn', 'gunicorn')).toBe('uvicorn --host 0.0.0.0 --port $PORT main:api');
});

test('startCommand() runs a script that has no such object, and knows nothing where nothing is called by a usual name', () => {
  expect(command({ 'server.py': 'serve()' }, 'gunicorn')).toBe('python server.py');
  expect(command({ 'tool.py': '' }, 'gunicorn')).toBeNull();
});

test('startCommand() looks into packages, and knows functions that make the application', () => {
  const flaskr = {
    'flaskr/__init__.py': 'from flask import Flask\ndef create_app(test_config=None):\n',
    'tests/app.py': 'app = F()',
  };
  expect(command(flaskr, 'flask')).toBe("flask --app 'flaskr:create_app()' run --host 0.0.0.0 --port $PORT");
  expect(command(flaskr, 'gunicorn')).toBe("gunicorn --bind 0.0.0.0:$PORT 'flaskr:create_app()'");
  expect(command(flaskr, 'waitress-serve')).toBe('waitress-serve --listen=0.0.0.0:$PORT --call flaskr:create_app');
  const made = { 'app/__init__.py': '', 'app/main.py': 'from fastapi import FastAPI\napp = get_application()\n' };
  expect(command(made, 'uvicorn')).toBe('uvicorn --host 0.0.0.0 --port $PORT app.main:app');
  const installed = { 'src/uv_example/__init__.py': 'from fastapi import FastAPI\n\napp = FastAPI()\n' };
  expect(command(installed, 'uvicorn')).toBe('uvicorn --host 0.0.0.0 --port $PORT uv_example:app');
});
