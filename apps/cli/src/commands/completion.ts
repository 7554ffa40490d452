/** completion: prints what a shell needs to complete commands, options and names. The shell asks `cupola complete` with the words typed so far. */
import { usageError } from '@cupola/push/failures';
import type { CliContext } from '../context.ts';

/** Words end at blanks, not at the colon of `git:remote`, where bash would cut them: it replaces only what stands behind the last one. bash 3.2 and newer. */
const BASH = `_cupola() {
  local line=\${COMP_LINE:0:COMP_POINT} words found
  read -ra words <<<"$line"
  case $line in *[[:space:]]) words[\${#words[@]}]='' ;; esac
  local current=\${words[\${#words[@]}-1]}
  local cut=\${current%"\${current##*:}"}
  COMPREPLY=()
  while IFS= read -r found; do
    printf -v found %q "$found"
    COMPREPLY[\${#COMPREPLY[@]}]=\${found#"$cut"}
  done < <("\${words[0]}" complete -- "\${words[@]:1}" 2>/dev/null)
}
complete -o default -F _cupola cupola`;

const ZSH = `#compdef cupola
_cupola() {
  local -a found
  found=("\${(@f)$("\${words[1]}" complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n $found[1] ]]; then compadd -- "\${found[@]}"; else _files; fi
}
if [[ $funcstack[1] = _cupola ]]; then _cupola "$@"; else compdef _cupola cupola; fi`;

const FISH = `function __cupola_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  set -l found ($words[1] complete -- $words[2..-1] "$current" 2>/dev/null)
  if test (count $found) -gt 0
    printf '%s\\n' $found
  else
    __fish_complete_path "$current"
  end
end
complete -c cupola -f -a '(__cupola_complete)'`;

const SCRIPTS: Readonly<Record<string, string>> = { bash: BASH, zsh: ZSH, fish: FISH };

export function completion(context: CliContext, shell: string): void {
  const script = SCRIPTS[shell];
  if (script === undefined)
    throw usageError(`There is no completion for ${shell}.`, 'For bash, zsh and fish: cupola completion bash');
  context.result({ shell, script }, script);
}
