# Made by `hearth completion bash`; change src/cli/command_table.cc instead.
_hearth_unquoted() {
  local word=${1//[\"\']/}
  word=${word//\\/}
  [[ $1 == \~/* ]] && word=$HOME${word#\~}
  printf '%s' "$word"
}
_hearth_offer() {
  COMPREPLY=($(compgen -W "$(hearth "${place[@]}" completion "$1" 2>/dev/null)" -- "$current"))
}
_hearth_names() {
  [[ $previous == @ ]] && current=@$current
  if [[ $current == @* ]]; then _hearth_offer tags
  else
    _hearth_offer services
    ((${#COMPREPLY[@]})) || _hearth_offer names
  fi
}
_hearth_keys() {
  local i rest
  _hearth_offer "$1"
  for i in "${!COMPREPLY[@]}"; do
    rest=${COMPREPLY[i]#"$current"}
    [[ $rest == *.* ]] && COMPREPLY[i]=$current${rest%%.*}.
  done
  COMPREPLY=($(printf '%s\n' "${COMPREPLY[@]}" | sort -u))
  [[ ${COMPREPLY[*]} != *. ]] || compopt -o nospace 2>/dev/null
}
_hearth_config() {
  case $given$first in
    0*) COMPREPLY=($(compgen -W 'validate show get set unset schema' -- "$current")) ;;
    1get|1set) _hearth_keys keys ;;
    1unset) _hearth_keys settings ;;
    1show) _hearth_offer services ;;
  esac
}
_hearth_command() {
  if declare -F _command_offset >/dev/null; then _command_offset $1
  elif (($1 == COMP_CWORD)); then COMPREPLY=($(compgen -c -- "$current"))
  else COMPREPLY=($(compgen -f -- "$current"))
  fi
}
_hearth() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command= place=() i given=0 first=
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      --dir|--instance)
        local option=${COMP_WORDS[i]}
        [[ ${COMP_WORDS[i+1]} == = ]] && ((i++))
        ((++i < COMP_CWORD)) && place+=("$option" "$(_hearth_unquoted "${COMP_WORDS[i]}")") ;;
      --) case $command in run|exec) _hearth_command $((i + 1)); return ;; esac ;;
      -f|--file) [[ $command == logs || $command == events ]] || ((++i)) ;;
      -*) ;;
      *) if [[ $command ]]; then ((++given)); : "${first:=${COMP_WORDS[i]}}"; else command=${COMP_WORDS[i]}; fi ;;
    esac
  done
  [[ $current == = ]] && current=
  [[ $previous == = ]] && previous=${COMP_WORDS[COMP_CWORD-2]}
  case $previous in
    --dir|--cwd) COMPREPLY=($(compgen -d -- "$current")); return ;;
    -f|--file) if [[ $command != logs && $command != events ]]; then COMPREPLY=($(compgen -f -- "$current")); return; fi ;;
    -p|--project) _hearth_offer projects; return ;;
    --restart) COMPREPLY=($(compgen -W 'always on-failure never' -- "$current")); return ;;
    -s|--sort) COMPREPLY=($(compgen -W 'cpu memory restarts uptime name' -- "$current")); return ;;
    --for) COMPREPLY=($(compgen -W 'ready stopped completed failed' -- "$current")); return ;;
    --instance|--set|--exit-code-from|--timeout|--name|--env|-n|--lines|--since|--until|--grep|-i|--interval) return ;;
  esac
  local words=
  case $command in
    '') words='--dir --instance --json -h --help'; [[ $current == -* ]] || words='up down run status logs events explain top tree pid import export start stop restart reload scale signal wait exec shutdown upgrade config version help completion daemon enable disable doctor reset' ;;
    up) words='-f --file --set --foreground --exit-code-from --abort-on-exit --no-wait --timeout --dir --instance --json -h --help' ;;
    down) words='-f --file -p --project --all --no-wait --timeout --dir --instance --json -h --help'; [[ $current == -* ]] || { _hearth_names; return; } ;;
    run) words='--name --cwd --env --restart --wait --no-wait --timeout --dir --instance --json -h --help' ;;
    status) words='--dir --instance --json -h --help'; [[ $current == -* ]] || { _hearth_names; return; } ;;
    logs) words='-f --follow -n --lines --since --until --grep -i --ignore-case --invert-match --all --rotate -t --timestamps --dir --instance --json -h --help'; [[ $current == -* ]] || { _hearth_names; return; } ;;
    events) words='-f --follow -n --lines --since --dir --instance --json -h --help'; [[ $current == -* ]] || { _hearth_names; return; } ;;
    explain) words='--dir --instance --json -h --help'; [[ $current == -* ]] || { _hearth_names; return; } ;;
    top) words='--once -s --sort -i --interval --pss --dir --instance --json -h --help'; [[ $current == -* ]] || { _hearth_names; return; } ;;
    tree) words='--dir --instance --json -h --help'; [[ $current == -* ]] || { _hearth_names; return; } ;;
    pid) words='--dir --instance --json -h --help'; [[ $current == -* ]] || { _hearth_names; return; } ;;
    import) words='-o --output --dir --instance --json -h --help'; [[ $current == -* ]] || { ((given)) || { COMPREPLY=($(compgen -W 'supervisord pm2 procfile systemd' -- "$current")); return; }; { COMPREPLY=($(compgen -f -- "$current")); return; }; } ;;
    export) words='-f --file --set -o --output --dir --instance --json -h --help'; [[ $current == -* ]] || { ((given)) || { COMPREPLY=($(compgen -W 'systemd' -- "$current")); return; }; { _hearth_names; return; }; } ;;
    start) words='--all --no-deps --no-wait --timeout --dir --instance --json -h --help'; [[ $current == -* ]] || { _hearth_names; return; } ;;
    stop) words='--all --no-wait --timeout --dir --instance --json -h --help'; [[ $current == -* ]] || { _hearth_names; return; } ;;
    restart) words='--all --no-deps --no-wait --timeout --dir --instance --json -h --help'; [[ $current == -* ]] || { _hearth_names; return; } ;;
    reload) words='--set -f --file --dry-run --no-wait --timeout --dir --instance --json -h --help'; [[ $current == -* ]] || { _hearth_names; return; } ;;
    scale) words='--no-wait --timeout --dir --instance --json -h --help'; [[ $current == -* ]] || { _hearth_offer services; COMPREPLY=("${COMPREPLY[@]/%/=}"); compopt -o nospace 2>/dev/null; return; } ;;
    signal) words='--all --all-processes --dir --instance --json -h --help'; [[ $current == -* ]] || { ((given)) || { COMPREPLY=($(compgen -W 'HUP INT QUIT KILL USR1 USR2 TERM CONT STOP WINCH' -- "$current")); return; }; { _hearth_names; return; }; } ;;
    wait) words='--for --timeout --dir --instance --json -h --help'; [[ $current == -* ]] || { _hearth_names; return; } ;;
    exec) words='--dir --instance --json -h --help'; [[ $current == -* ]] || { _hearth_names; return; } ;;
    shutdown) words='--no-wait --timeout --dir --instance --json -h --help' ;;
    upgrade) words='--from --keeper --dry-run --timeout --dir --instance --json -h --help' ;;
    config) words='-f --file --set --origin --defaults --dir --instance --json -h --help'; [[ $current == -* ]] || { _hearth_config; return; } ;;
    version) words='--dir --instance --json -h --help' ;;
    help) words='--man --dir --instance --json -h --help'; [[ $current == -* ]] || words='up down run status logs events explain top tree pid import export start stop restart reload scale signal wait exec shutdown upgrade config version help completion daemon enable disable doctor reset' ;;
    completion) words='--dir --instance --json -h --help'; [[ $current == -* ]] || words='bash zsh fish' ;;
    daemon) words='--detach --dir --instance --json -h --help' ;;
    enable) words='-f --file --unit-dir --print --dir --instance --json -h --help' ;;
    disable) words='-f --file --unit-dir --dir --instance --json -h --help' ;;
    doctor) words='--fix --dir --instance --json -h --help' ;;
    reset) words='-y --yes --force --dir --instance --json -h --help' ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _hearth hearth
