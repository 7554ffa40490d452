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
  const fast = { 'main.py': 'api: FastAPI = FastAPI(title="x")\n' };
  expect(command(fast, 'uvicorn', 'gunicorn')).toBe('uvicorn --host 0.0.0.0 --port $PORT main:api');
});

test('startCommand() runs a script that has no such object, and knows nothing where nothing is called by a usual name', () => {
  expect(command({ 'server.py': 'serve()' }, 'gunicorn')).toBe('python server.py');
  expect(command({ 'tool.py': '' }, 'gunicorn')).toBeNull();
});
