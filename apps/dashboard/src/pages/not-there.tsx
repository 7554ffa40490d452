import { Link } from '@tanstack/react-router';

/** The same for what is not there and for what one may not see: the API does not tell them apart either. */
export function NotThere({ what }: { what: string }) {
  return (
    <>
      <div className="page-head">
        <h1>There is no such {what} for you.</h1>
      </div>
      <p>
        It was deleted, or you have no role where it is. <Link to="/">To the first page</Link>
      </p>
    </>
  );
}
