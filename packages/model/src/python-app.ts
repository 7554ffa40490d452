/** Where a Python app keeps its application object: by that a build finds the start command, and `cupola dev` that a change may bring another one. */

/** Files that people name their app, in the order in which they are taken: at the root, then in packages. */
export const PYTHON_MODULES = ['app', 'main', 'wsgi', 'asgi', 'application', 'server', 'run', 'hello'] as const;
export const PYTHON_PACKAGE_MODULES = ['__init__', 'main', 'app', 'wsgi', 'asgi', 'server'] as const;

const OBJECT = /^(app|application|server|api)\s*(?::\s*[\w.]+\s*)?=\s*([\w.]+)\(/m;
/** Flask's own name for it: `flask run` looks for it too. */
const FACTORY = /^def (create_app|make_app)\(/m;
const ASGI = /^\s*(?:from|import) (?:fastapi|starlette|quart|litestar|sanic|channels)\b|get_asgi_application/m;

export interface PythonApplication {
  /** `create_app()` for a function that makes it. */
  readonly name: string;
  readonly kind: 'wsgi' | 'asgi';
}

/** The application object of a module, by its text; null when it has none. */
export function pythonApplication(text: string): PythonApplication | null {
  const kind = ASGI.test(text) ? 'asgi' : 'wsgi';
  const [, name] = OBJECT.exec(text) ?? [];
  if (name !== undefined) return { name, kind };
  const [, factory] = FACTORY.exec(text) ?? [];
  return factory === undefined ? null : { name: `${factory}()`, kind };
}
