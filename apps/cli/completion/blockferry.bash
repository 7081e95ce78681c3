# Completion for bash: verbs, options, domains, disks, and files where none of these can stand.
# Use it with: source blockferry.bash; or put it into /usr/share/bash-completion/completions/ as `blockferry`.

_blockferry_options() {
  # As the help lists them, short ones too.
  "${connected[@]}" "$@" --help 2>/dev/null | sed -n 's/^  \(-[a-zA-Z], \)\{0,1\}\(--[a-z-]*\).*/\2/p'
}

# A domain a line, its disks behind it: the JSON of `list` has the domain's name before the targets of its disks.
_blockferry_domains() {
  "${connected[@]}" list --json 2>/dev/null | sed -n '/"type":"domain"/{s/"source":"[^"]*"//g
    s/.*"name":"\([^"]*\)".*/\1/p
  }'
}

_blockferry_disks() {
  "${connected[@]}" list --json 2>/dev/null | grep -F "\"name\":\"$1\"," | grep -o '"target":"[^"]*"' | cut -d '"' -f 4
}

_blockferry() {
  local words word connected verb='' at=1 place
  # COMP_WORDS is of no use: bash breaks the URI behind -c at each colon. Quotes are none of our words.
  read -ra words <<<"${COMP_LINE:0:COMP_POINT}"
  words=("${words[@]//[\'\"]/}")
  [[ ${COMP_LINE:0:COMP_POINT} == *[[:space:]] ]] && words+=('')
  word=${words[-1]}
  connected=("${words[0]}")
  while ((at < ${#words[@]} - 1)); do
    case ${words[at]} in
      -c | --connect)
        connected+=(-c "${words[at + 1]}")
        ((at += 2))
        ;;
      -*) ((at += 1)) ;;
      *)
        verb=${words[at]}
        break
        ;;
    esac
  done
  place=$((${#words[@]} - 1 - at))
  if [ -z "$verb" ]; then
    local verbs
    verbs=$("${connected[@]}" --help 2>/dev/null | sed -n '/^Commands:/,/^$/s/^  \([a-z]\{1,\}\) .*/\1/p')
    mapfile -t COMPREPLY < <(compgen -W "$verbs --connect --version --help" -- "$word")
  elif [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(_blockferry_options "$verb")" -- "$word")
  elif ((place == 1)) && [[ $verb != restore ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(_blockferry_domains)" -- "$word")
  elif ((place == 2)) && [[ $verb != @(migrate|image|backup|ls|cat) ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(_blockferry_disks "${words[at + 1]}")" -- "$word")
  fi
}
complete -o bashdefault -o default -F _blockferry blockferry
