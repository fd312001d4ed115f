export type Shell = 'bash' | 'zsh' | 'fish';

/**
 * Scripts that ask `mica __complete` for everything. It answers with lines `word TAB about`, and at
 * the end `:files` (files are candidates, too) or `:open` (no space after the word).
 */
export const SCRIPTS: Readonly<Record<Shell, string>> = {
  bash: String.raw`# bash completion for mica; load it with:  source <(mica completion bash)
_mica() {
  local line=${'$'}{COMP_LINE:0:COMP_POINT} word candidate
  local -a words
  # Split here, since bash splits names of images at their colons.
  read -ra words <<< "$line"
  [[ $line == *[[:space:]] ]] && words+=('')
  word=${'$'}{words[-1]}
  local done=${'$'}{word%"${'$'}{word##*[:=]}"}
  COMPREPLY=()
  while IFS=$'\t' read -r candidate _; do
    case $candidate in
      :files) compopt -o default ;;
      :open) compopt -o nospace ;;
      ?*) COMPREPLY+=("${'$'}{candidate#"$done"}") ;;
    esac
  done < <("${'$'}{words[0]}" __complete -- "${'$'}{words[@]:1}" 2>/dev/null)
}
complete -F _mica mica
`,
  zsh: String.raw`#compdef mica
# zsh completion for mica; put it into a directory of $fpath as _mica, or:  source <(mica completion zsh)
_mica() {
  local line
  local -a candidates options
  while IFS= read -r line; do
    case $line in
      :files) _files ;;
      :open) options=(-S '') ;;
      *) candidates+=("${'$'}{${'$'}{line%%$'\t'*}//:/\\:}:${'$'}{line#*$'\t'}") ;;
    esac
  done < <("${'$'}{words[1]}" __complete -- "${'$'}{(@)words[2,CURRENT]}" 2>/dev/null)
  (( $#candidates )) && _describe mica candidates $options
}
if [[ $funcstack[1] == _mica ]]; then _mica "$@"; else compdef _mica mica; fi
`,
  fish: String.raw`# fish completion for mica; load it with:  mica completion fish | source
function __mica_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l lines (command $words[1] __complete -- $words[2..-1] 2>/dev/null)
    contains -- :files $lines; and __fish_complete_path (commandline -ct)
    string match -rv '^:' -- $lines
end
complete -c mica -f -a '(__mica_complete)'
`,
};
