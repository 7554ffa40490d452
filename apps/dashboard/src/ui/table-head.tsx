/** Names of the columns; an empty one is that of what can be done. */
export function TableHead({ names }: { names: readonly string[] }) {
  return (
    <thead>
      <tr>
        {names.map(name => (
          <th key={name} className="label">
            {name === '' ? <span className="hidden-label">actions</span> : name}
          </th>
        ))}
      </tr>
    </thead>
  );
}
