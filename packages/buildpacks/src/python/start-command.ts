/** How a Python app is started when neither the manifest nor a Procfile says so. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { PYTHON_MODULES, PYTHON_PACKAGE_MODULES, pythonApplication } from '@cupola/model/python-app';

export interface Facts {
  /** Programs of the app's environment: `gunicorn`, `uvicorn`, `flask`. */
  programs: ReadonlySet<string>;
  /** Folder of manage.py, relative to the app's: '.' at its root; null: no Django. */
  django: string | null;
  /** The module with wsgi.py, `mysite.wsgi`; null where there is none. */
  wsgi: string | null;
  /** A module that holds an application object, and the object's name; `create_app()` for a function that makes one. */
  object: { module: string; name: string; kind: 'wsgi' | 'asgi' } | null;
  /** A file at the root that is run as it is. */
  script: string | null;
}

/** Packages that hold no app. */
const NOT_APPS = new Set(['tests', 'test', 'docs', 'migrations', 'scripts', 'examples', 'node_modules', 'venv', 'env']);

/** What the app's folder shows. Reads files, runs nothing. */
export function readFacts(app: string, programs: ReadonlySet<string>): Facts {
  const django = existsSync(join(app, 'manage.py')) ? '.' : (childWith(app, 'manage.py') ?? null);
  const files = PYTHON_MODULES.filter(module => existsSync(join(app, `${module}.py`)));
  const atRoot = files.flatMap(module => objectIn(join(app, `${module}.py`), module) ?? []);
  return {
    programs,
    django,
    wsgi: django === null ? null : wsgiModule(join(app, django)),
    object: atRoot[0] ?? (files.length === 0 ? objectInPackage(app) : null),
    script: files[0] === undefined ? null : `${files[0]}.py`,
  };
}

function objectIn(file: string, module: string): Facts['object'] {
  const found = pythonApplication(readFileSync(file, 'utf8'));
  return found === null ? null : { module, ...found };
}

/** In a package at the root, or in `src`, from where it is installed. */
function objectInPackage(app: string): Facts['object'] {
  const found = ['.', 'src'].flatMap(place =>
    foldersIn(join(app, place))
      .filter(name => /^[a-z_]\w*$/i.test(name) && !NOT_APPS.has(name))
      .flatMap(name =>
        PYTHON_PACKAGE_MODULES.flatMap(file => {
          const path = join(app, place, name, `${file}.py`);
          const module = file === '__init__' ? name : `${name}.${file}`;
          return existsSync(path) ? (objectIn(path, module) ?? []) : [];
        }),
      ),
  );
  return found[0] ?? null;
}

function foldersIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter(entry => entry.isDirectory())
    .map(({ name }) => name)
    .toSorted();
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
    const isFactory = object.name.endsWith('()');
    const plain = `${object.module}:${object.name.replace('()', '')}`;
    const target = isFactory ? `'${plain}()'` : plain;
    if (object.kind === 'asgi' && programs.has('uvicorn'))
      return `uvicorn --host 0.0.0.0 --port $PORT ${isFactory ? '--factory ' : ''}${plain}`;
    if (object.kind === 'wsgi' && programs.has('gunicorn')) return `gunicorn --bind ${bind} ${target}`;
    if (object.kind === 'wsgi' && programs.has('waitress-serve'))
      return `waitress-serve --listen=${bind} ${isFactory ? '--call ' : ''}${plain}`;
    if (object.kind === 'wsgi' && programs.has('flask')) return `flask --app ${target} run --host 0.0.0.0 --port $PORT`;
  }
  return script === null ? null : `python ${script}`;
}

const quoted = (text: string): string => (/^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);
