# Made by `hearth completion fish`; change src/cli/command_table.cc instead.
function __hearth_ask
  set -l place
  set -l words (commandline -opc)
  set -l i 2
  while test $i -le (count $words)
    set -l word $words[$i]
    set i (math $i + 1)
    switch $word
      case --
        break
      case '--dir=*' '--instance=*'
        set -a place (string replace '=~/' "=$HOME/" -- $word)
      case --dir --instance
        test $i -le (count $words); and set -a place $word (string replace -r '^~/' "$HOME/" -- $words[$i])
        set i (math $i + 1)
    end
  end
  hearth $place completion $argv[1] 2>/dev/null
end
function __hearth_services
  set -l typed (commandline -ct)
  if string match -q -- '@*' "$typed"
    __hearth_ask tags
    return
  end
  set -l names (__hearth_ask services | string match -- "$typed*")
  or set names (__hearth_ask names)
  printf '%s\n' $names
end
function __hearth_needs_command
  set -l words (commandline -opc)
  set -l i 2
  while test $i -le (count $words)
    switch $words[$i]
      case --dir --instance
        set i (math $i + 1)
      case '-*'
      case '*'
        return 1
    end
    set i (math $i + 1)
  end
end
function __hearth_config
  set -l words (commandline -opc)
  if contains -- get $words; or contains -- set $words
    __hearth_ask keys
  else if contains -- unset $words
    __hearth_ask settings
  else if contains -- show $words
    __hearth_ask services
  else if not contains -- validate $words; and not contains -- schema $words
    printf '%s\n' validate show get set unset schema
  end
end
function __hearth_counts
  for name in (__hearth_ask services)
    echo $name=
  end
end
function __hearth_first
  set -l words (commandline -opc)
  test "$words[-1]" = $argv[1]
end
complete -c hearth -f
complete -c hearth -l dir -x -a '(__fish_complete_directories)' -d 'use the instance in exactly this directory'
complete -c hearth -l instance -x -d 'use the instance of this name ("default"); "auto": `help up`'
complete -c hearth -l json -d 'write JSON for programs'
complete -c hearth -s h -l help -d 'explain the command'
complete -c hearth -n __hearth_needs_command -a up -d 'start what ./hearth.toml says, and wait until all of it is ready'
complete -c hearth -n '__fish_seen_subcommand_from up' -s f -l file -r -F -d 'this file, instead of hearth.toml here or in a directory above'
complete -c hearth -n '__fish_seen_subcommand_from up' -l set -x -d 'over what the files say: service.web.nice=5; may be repeated'
complete -c hearth -n '__fish_seen_subcommand_from up' -l foreground -d 'stay, show what services write, and stop them at Ctrl-C'
complete -c hearth -n '__fish_seen_subcommand_from up' -l exit-code-from -x -d 'in the foreground, until this service has ended; its exit code is that of `up`'
complete -c hearth -n '__fish_seen_subcommand_from up' -l abort-on-exit -d 'in the foreground, until any service has ended'
complete -c hearth -n '__fish_seen_subcommand_from up' -l no-wait -d 'return when the order is accepted'
complete -c hearth -n '__fish_seen_subcommand_from up' -l timeout -x -d 'wait no longer than this ("90s", "5m"); the order itself goes on'
complete -c hearth -n __hearth_needs_command -a down -d 'stop and forget: the services of ./hearth.toml, or by name'
complete -c hearth -n '__fish_seen_subcommand_from down' -s f -l file -r -F -d 'this file, instead of hearth.toml here or in a directory above'
complete -c hearth -n '__fish_seen_subcommand_from down' -s p -l project -x -a '(__hearth_ask projects)' -d 'the project of this name, instead of a file'
complete -c hearth -n '__fish_seen_subcommand_from down' -l all -d 'every service of every project'
complete -c hearth -n '__fish_seen_subcommand_from down' -l no-wait -d 'return when the order is accepted'
complete -c hearth -n '__fish_seen_subcommand_from down' -l timeout -x -d 'wait no longer than this ("90s", "5m"); the order itself goes on'
complete -c hearth -n '__fish_seen_subcommand_from down' -a '(__hearth_services)'
complete -c hearth -n __hearth_needs_command -a run -d 'start one command as a service, without a file'
complete -c hearth -n '__fish_seen_subcommand_from run' -l name -x -d 'call the service so; otherwise it has the name of the program'
complete -c hearth -n '__fish_seen_subcommand_from run' -l cwd -x -a '(__fish_complete_directories)' -d 'run it in this directory, otherwise in the current one'
complete -c hearth -n '__fish_seen_subcommand_from run' -l env -x -d 'set a variable for it; may be repeated'
complete -c hearth -n '__fish_seen_subcommand_from run' -l restart -x -a 'always on-failure never' -d 'restart it always, on-failure (the default) or never'
complete -c hearth -n '__fish_seen_subcommand_from run' -l wait -d 'wait until it runs (the default)'
complete -c hearth -n '__fish_seen_subcommand_from run' -l no-wait -d 'return when the order is accepted'
complete -c hearth -n '__fish_seen_subcommand_from run' -l timeout -x -d 'wait no longer than this ("90s", "5m"); the order itself goes on'
complete -c hearth -n '__fish_seen_subcommand_from run' -a '(__fish_complete_subcommand)'
complete -c hearth -n __hearth_needs_command -a status -d 'how the services are'
complete -c hearth -n '__fish_seen_subcommand_from status' -a '(__hearth_services)'
complete -c hearth -n __hearth_needs_command -a logs -d 'what services have written'
complete -c hearth -n '__fish_seen_subcommand_from logs' -s f -l follow -d 'go on with what comes'
complete -c hearth -n '__fish_seen_subcommand_from logs' -s n -l lines -x -d 'of each service so many of the last lines that are wanted (20; all, where a time or a pattern is given); "all": everything kept'
complete -c hearth -n '__fish_seen_subcommand_from logs' -l since -x -d 'what came at this time or later'
complete -c hearth -n '__fish_seen_subcommand_from logs' -l until -x -d 'what came at this time or earlier'
complete -c hearth -n '__fish_seen_subcommand_from logs' -l grep -x -d 'lines that match this regular expression, as for `grep -E`'
complete -c hearth -n '__fish_seen_subcommand_from logs' -s i -l ignore-case -d '--grep takes upper and lower case as one'
complete -c hearth -n '__fish_seen_subcommand_from logs' -l invert-match -d 'lines that --grep does not match'
complete -c hearth -n '__fish_seen_subcommand_from logs' -l all -d 'services, too, that are down and that hearth has forgotten'
complete -c hearth -n '__fish_seen_subcommand_from logs' -l rotate -d 'begin the next file of each log now, and show nothing'
complete -c hearth -n '__fish_seen_subcommand_from logs' -s t -l timestamps -d 'before each line that has no time of its own the time at which it came'
complete -c hearth -n '__fish_seen_subcommand_from logs' -a '(__hearth_services)'
complete -c hearth -n __hearth_needs_command -a events -d 'what has happened, and who ordered it'
complete -c hearth -n '__fish_seen_subcommand_from events' -s f -l follow -d 'go on with what comes'
complete -c hearth -n '__fish_seen_subcommand_from events' -s n -l lines -x -d 'begin with so many of the last events (20); "all": with everything kept'
complete -c hearth -n '__fish_seen_subcommand_from events' -l since -x -d 'begin here; a TIME is written as for `hearth logs`'
complete -c hearth -n '__fish_seen_subcommand_from events' -a '(__hearth_services)'
complete -c hearth -n __hearth_needs_command -a explain -d 'why a service is in the state it is in'
complete -c hearth -n '__fish_seen_subcommand_from explain' -a '(__hearth_services)'
complete -c hearth -n __hearth_needs_command -a top -d 'what services use: CPU, memory, threads, live'
complete -c hearth -n '__fish_seen_subcommand_from top' -l once -d 'write one table and end, as without a terminal'
complete -c hearth -n '__fish_seen_subcommand_from top' -s s -l sort -x -a 'cpu memory restarts uptime name' -d 'cpu (the usual one), memory, restarts, uptime or name'
complete -c hearth -n '__fish_seen_subcommand_from top' -s i -l interval -x -d 'look so often (2s)'
complete -c hearth -n '__fish_seen_subcommand_from top' -l pss -d 'memory with shared pages divided among those who share them; dear for large processes'
complete -c hearth -n '__fish_seen_subcommand_from top' -a '(__hearth_services)'
complete -c hearth -n __hearth_needs_command -a tree -d 'the processes of services, as a tree'
complete -c hearth -n '__fish_seen_subcommand_from tree' -a '(__hearth_services)'
complete -c hearth -n __hearth_needs_command -a pid -d 'the PID of a service, for scripts'
complete -c hearth -n '__fish_seen_subcommand_from pid' -a '(__hearth_services)'
complete -c hearth -n __hearth_needs_command -a import -d 'make a hearth.toml of another supervisor\'s files'
complete -c hearth -n '__fish_seen_subcommand_from import' -s o -l output -r -F -d 'write here, and nowhere if it exists'
complete -c hearth -n '__hearth_first import' -a 'supervisord pm2 procfile systemd'
complete -c hearth -n '__fish_seen_subcommand_from import; and not __hearth_first import' -F
complete -c hearth -n __hearth_needs_command -a export -d 'services as units of systemd'
complete -c hearth -n '__fish_seen_subcommand_from export' -s f -l file -r -F -d 'this file, instead of hearth.toml here or in a directory above'
complete -c hearth -n '__fish_seen_subcommand_from export' -l set -x -d 'over what the files say: service.web.nice=5; may be repeated'
complete -c hearth -n '__fish_seen_subcommand_from export' -s o -l output -x -a '(__fish_complete_directories)' -d 'write each unit into a file of its own there'
complete -c hearth -n '__hearth_first export' -a 'systemd'
complete -c hearth -n '__fish_seen_subcommand_from export; and not __hearth_first export' -a '(__hearth_services)'
complete -c hearth -n __hearth_needs_command -a start -d 'start services'
complete -c hearth -n '__fish_seen_subcommand_from start' -l all -d 'all services'
complete -c hearth -n '__fish_seen_subcommand_from start' -l no-deps -d 'leave what they depend on as it is'
complete -c hearth -n '__fish_seen_subcommand_from start' -l no-wait -d 'return when the order is accepted'
complete -c hearth -n '__fish_seen_subcommand_from start' -l timeout -x -d 'wait no longer than this ("90s", "5m"); the order itself goes on'
complete -c hearth -n '__fish_seen_subcommand_from start' -a '(__hearth_services)'
complete -c hearth -n __hearth_needs_command -a stop -d 'stop services'
complete -c hearth -n '__fish_seen_subcommand_from stop' -l all -d 'all services'
complete -c hearth -n '__fish_seen_subcommand_from stop' -l no-wait -d 'return when the order is accepted'
complete -c hearth -n '__fish_seen_subcommand_from stop' -l timeout -x -d 'wait no longer than this ("90s", "5m"); the order itself goes on'
complete -c hearth -n '__fish_seen_subcommand_from stop' -a '(__hearth_services)'
complete -c hearth -n __hearth_needs_command -a restart -d 'stop services and start them again'
complete -c hearth -n '__fish_seen_subcommand_from restart' -l all -d 'all services'
complete -c hearth -n '__fish_seen_subcommand_from restart' -l no-deps -d 'leave what they depend on as it is'
complete -c hearth -n '__fish_seen_subcommand_from restart' -l no-wait -d 'return when the order is accepted'
complete -c hearth -n '__fish_seen_subcommand_from restart' -l timeout -x -d 'wait no longer than this ("90s", "5m"); the order itself goes on'
complete -c hearth -n '__fish_seen_subcommand_from restart' -a '(__hearth_services)'
complete -c hearth -n __hearth_needs_command -a reload -d 'apply a changed file, or have services reload'
complete -c hearth -n '__fish_seen_subcommand_from reload' -l set -x -d 'over what the files say: service.web.nice=5; may be repeated'
complete -c hearth -n '__fish_seen_subcommand_from reload' -s f -l file -r -F -d 'this file, instead of hearth.toml here or in a directory above'
complete -c hearth -n '__fish_seen_subcommand_from reload' -l dry-run -d 'only tell what would be done'
complete -c hearth -n '__fish_seen_subcommand_from reload' -l no-wait -d 'return when the order is accepted'
complete -c hearth -n '__fish_seen_subcommand_from reload' -l timeout -x -d 'wait no longer than this ("90s", "5m"); the order itself goes on'
complete -c hearth -n '__fish_seen_subcommand_from reload' -a '(__hearth_services)'
complete -c hearth -n __hearth_needs_command -a scale -d 'run another number of replicas'
complete -c hearth -n '__fish_seen_subcommand_from scale' -l no-wait -d 'return when the order is accepted'
complete -c hearth -n '__fish_seen_subcommand_from scale' -l timeout -x -d 'wait no longer than this ("90s", "5m"); the order itself goes on'
complete -c hearth -n '__fish_seen_subcommand_from scale' -a '(__hearth_counts)'
complete -c hearth -n __hearth_needs_command -a signal -d 'send a signal to services'
complete -c hearth -n '__fish_seen_subcommand_from signal' -l all -d 'all services'
complete -c hearth -n '__fish_seen_subcommand_from signal' -l all-processes -d 'to the whole process group of each'
complete -c hearth -n '__hearth_first signal' -a 'HUP INT QUIT KILL USR1 USR2 TERM CONT STOP WINCH'
complete -c hearth -n '__fish_seen_subcommand_from signal; and not __hearth_first signal' -a '(__hearth_services)'
complete -c hearth -n __hearth_needs_command -a wait -d 'wait until services are ready, stopped, completed or failed'
complete -c hearth -n '__fish_seen_subcommand_from wait' -l for -x -a 'ready stopped completed failed' -d 'ready (the default), stopped, completed or failed'
complete -c hearth -n '__fish_seen_subcommand_from wait' -l timeout -x -d 'wait no longer than this ("90s", "5m")'
complete -c hearth -n '__fish_seen_subcommand_from wait' -a '(__hearth_services)'
complete -c hearth -n __hearth_needs_command -a exec -d 'run a command as a service would run'
complete -c hearth -n '__fish_seen_subcommand_from exec' -a '(__hearth_services)'
complete -c hearth -n __hearth_needs_command -a shutdown -d 'stop everything, then hearth itself'
complete -c hearth -n '__fish_seen_subcommand_from shutdown' -l no-wait -d 'return when the order is accepted'
complete -c hearth -n '__fish_seen_subcommand_from shutdown' -l timeout -x -d 'wait no longer than this ("90s", "5m"); the order itself goes on'
complete -c hearth -n __hearth_needs_command -a upgrade -d 'let another version of hearth go on, without touching a service'
complete -c hearth -n '__fish_seen_subcommand_from upgrade' -l from -x -a '(__fish_complete_directories)' -d 'the programs are in this directory'
complete -c hearth -n '__fish_seen_subcommand_from upgrade' -l keeper -d 'replace the keeper\'s program, too'
complete -c hearth -n '__fish_seen_subcommand_from upgrade' -l dry-run -d 'only try the programs, and tell'
complete -c hearth -n '__fish_seen_subcommand_from upgrade' -l timeout -x -d 'wait no longer than this for the new ones (60s)'
complete -c hearth -n __hearth_needs_command -a config -d 'look at ./hearth.toml, and change it'
complete -c hearth -n '__fish_seen_subcommand_from config' -s f -l file -r -F -d 'this file, instead of hearth.toml here or in a directory above'
complete -c hearth -n '__fish_seen_subcommand_from config' -l set -x -d 'over what the files say: service.web.nice=5; may be repeated'
complete -c hearth -n '__fish_seen_subcommand_from config' -l origin -d 'show: say behind each value where it comes from'
complete -c hearth -n '__fish_seen_subcommand_from config' -l defaults -d 'show: also what nobody has set'
complete -c hearth -n '__fish_seen_subcommand_from config' -a '(__hearth_config)'
complete -c hearth -n __hearth_needs_command -a version -d 'this program\'s version, and which version and files run'
complete -c hearth -n __hearth_needs_command -a help -d 'explain a command'
complete -c hearth -n '__fish_seen_subcommand_from help' -l man -d 'write the manual page\'s source'
complete -c hearth -n '__fish_seen_subcommand_from help' -a 'up down run status logs events explain top tree pid import export start stop restart reload scale signal wait exec shutdown upgrade config version help completion daemon enable disable doctor reset'
complete -c hearth -n __hearth_needs_command -a completion -d 'write a completion script for a shell'
complete -c hearth -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'
complete -c hearth -n __hearth_needs_command -a daemon -d 'run hearth in the foreground, for service managers'
complete -c hearth -n '__fish_seen_subcommand_from daemon' -l detach -d 'return when it answers'
complete -c hearth -n __hearth_needs_command -a enable -d 'start what ./hearth.toml says whenever the machine boots'
complete -c hearth -n '__fish_seen_subcommand_from enable' -s f -l file -r -F -d 'this file, instead of hearth.toml here or in a directory above'
complete -c hearth -n '__fish_seen_subcommand_from enable' -l unit-dir -x -a '(__fish_complete_directories)' -d 'the units are here, and systemd is not told'
complete -c hearth -n '__fish_seen_subcommand_from enable' -l print -d 'show the units, change nothing'
complete -c hearth -n __hearth_needs_command -a disable -d 'start it no more when the machine boots'
complete -c hearth -n '__fish_seen_subcommand_from disable' -s f -l file -r -F -d 'this file, instead of hearth.toml here or in a directory above'
complete -c hearth -n '__fish_seen_subcommand_from disable' -l unit-dir -x -a '(__fish_complete_directories)' -d 'the units are here, and systemd is not told'
complete -c hearth -n __hearth_needs_command -a doctor -d 'what of this machine and this instance is not as it should be'
complete -c hearth -n '__fish_seen_subcommand_from doctor' -l fix -d 'put right what can be put right without touching services'
complete -c hearth -n __hearth_needs_command -a reset -d 'kill everything of this instance, whatever state it is in'
complete -c hearth -n '__fish_seen_subcommand_from reset' -s y -l yes -d 'do not ask'
complete -c hearth -n '__fish_seen_subcommand_from reset' -l force -d 'do not try an orderly shutdown first'
