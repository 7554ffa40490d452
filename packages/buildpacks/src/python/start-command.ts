/** How a Python app is started when neither the manifest nor a Procfile says so. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

export interface Facts {
  /** Programs of the app's environment: `gunicorn`, `uvicorn`, `flask`. */
  programs: ReadonlySet<string>;
  /** Folder of manage.py, relative to the app's: '.' at its root; null: no Django. */
  django: string | null;
  /** The module with wsgi.py, `mysite.wsgi`; null where there is none. */
  wsgi: string | null;
  /** A file at the root whose module holds an application object, and the object's name. */
  object: { module: string; name: string; kind: 'wsgi' | 'asgi' } | null;
  /** A file at the root that is run as it is. */
  script: string | null;
}

/** Files that people name their app, in the order in which they are taken. */
const MODULES = ['app', 'main', 'wsgi', 'asgi', 'application', 'server', 'run', 'hello'];
const OBJECT = /^(app|application|server|api)\s*(?::\s*[\w.]+\s*)?=\s*([\w.]+)\(/m;

/** What the app's folder shows. Reads files, runs nothing. */
export function readFacts(app: string, programs: ReadonlySet<string>): Facts {
  const django = existsSync(join(app, 'manage.py')) ? '.' : (childWith(app, 'manage.py') ?? null);
  const files = MODULES.filter(module => existsSync(join(app, `${module}.py`)));
  const objects = files.flatMap(module => {
    const [, name, maker = ''] = OBJECT.exec(readFileSync(join(app, `${module}.py`), 'utf8')) ?? [];
    if (name === undefined) return [];
    const kind = /FastAPI|Starlette|Quart|Litestar|get_asgi_application|Sanic/.test(maker) ? 'asgi' : 'wsgi';
    return [{ module, name, kind } as const];
  });
  return {
    programs,
    django,
    wsgi: django === null ? null : wsgiModule(join(app, django)),
    object: objects[0] ?? null,
    script: files[0] === undefined ? null : `${files[0]}.py`,
  };
}

function childWith(folder: string, file: string): string | undefined {
  return readdirSync(folder, { withFileTypes: true })
    .filter(entry => entry.isDirectory() && existsSync(join(folder, entry.name, file)))
    .map(({ name }) => name)
    .toSorted()[0];
}

function wsgiModule(folder: string): string | null {
  const project = childWith(folder, 'wsgi.py');
  return project === undefined || !/^\w+$/.test(project) ? null : `${project}.wsgi`;
}

/** Null where nothing is known to start. A server that is installed is used; else the development server of the framework, which serves too. */
export function startCommand({ programs, django, wsgi, object, script }: Facts): string | null {
  const bind = '0.0.0.0:$PORT';
  if (django !== null) {
    const folder = relative('.', django);
    const chdir = folder === '' ? '' : ` --chdir ${quoted(folder)}`;
    if (wsgi !== null && programs.has('gunicorn')) return `gunicorn${chdir} --bind ${bind} ${wsgi}`;
    return `python ${quoted(folder === '' ? 'manage.py' : `${folder}/manage.py`)} runserver --noreload ${bind}`;
  }
  if (object !== null) {
    const target = `${object.module}:${object.name}`;
    if (object.kind === 'asgi' && programs.has('uvicorn')) return `uvicorn --host 0.0.0.0 --port $PORT ${target}`;
    if (object.kind === 'wsgi' && programs.has('gunicorn')) return `gunicorn --bind ${bind} ${target}`;
    if (object.kind === 'wsgi' && programs.has('waitress-serve')) return `waitress-serve --listen=${bind} ${target}`;
    if (object.kind === 'wsgi' && programs.has('flask')) return `flask --app ${target} run --host 0.0.0.0 --port $PORT`;
  }
  return script === null ? null : `python ${script}`;
}

const quoted = (text: string): string => (/^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);
