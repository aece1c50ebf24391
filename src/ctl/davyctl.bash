# SPDX-License-Identifier: Apache-2.0
# bash completion for davyctl(1)

_davyctl_names()
{
    # $1: verb that lists, with its options; $2: key of the names
    # shellcheck disable=SC2086
    davyctl "${_davyctl_socket[@]}" --json $1 2>/dev/null | sed -n "s/.*\"$2\": \"\([^\"]*\)\".*/\1/p"
}

_davyctl_devices()
{
    _davyctl_names points point | sed 's/\.[^.]*$//' | sort -u
}

_davyctl()
{
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} before='' verb='' i words=''
    local -a _davyctl_socket=()
    local verbs='status watch points alarms ack reset shelve unshelve out-of-service in-service inhibit uninhibit explain
        events history check presets diff reload replay scan identify frames read verify backup log-level'
    local builtin='fault inhibit calibration storage mqtt clock config overload flood chatter'
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --socket)
            _davyctl_socket=(--socket "${COMP_WORDS[++i]}")
            ;;
        -*) ;;
        *)
            verb=${COMP_WORDS[i]}
            break
            ;;
        esac
    done
    # readline divides RULE:DEVICE.POINT at the colon, and completes what is behind it
    if [[ $current == : ]]; then
        before=$previous: current='' previous=${COMP_WORDS[COMP_CWORD - 2]}
    elif [[ $previous == : ]]; then
        before=${COMP_WORDS[COMP_CWORD - 2]}: previous=${COMP_WORDS[COMP_CWORD - 3]}
    fi
    COMPREPLY=()
    case $previous in
    --socket | --database | --config | --against | --input)
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
        ;;
    --level) words='blue yellow orange red' ;;
    --since | --until | --every) words='1h 8h 24h 7d 30d' ;;
    --only) words='ledger readings' ;;
    --table) words='coil discrete input holding' ;;
    --note | --reason | --zone | --limit | --units | --register) return ;;
    *)
        if [[ -z $verb ]]; then
            words="$verbs --socket --json --help --version"
        elif [[ $current == -* ]]; then
            case $verb in
            alarms) words='--all --json' ;;
            ack | reset | unshelve | in-service | uninhibit) words='--note --json' ;;
            shelve | out-of-service | inhibit) words='--reason --json' ;;
            events) words='--since --until --zone --level --limit --database --json' ;;
            history) words='--since --until --every --database --json' ;;
            replay) words='--config --against --input --database --since --until --json' ;;
            verify) words='--database --json' ;;
            backup) words='--only --database --json' ;;
            scan) words='--units --table --register --json' ;;
            frames) words='--errors --json' ;;
            *) words='--json' ;;
            esac
        else
            case $verb in
            ack | reset | unshelve | in-service) words=$(_davyctl_names alarms alarm) ;;
            shelve | out-of-service) words="$(_davyctl_names 'alarms --all' alarm) 30min 1h 2h 8h 12h" ;;
            inhibit | uninhibit) words="$(_davyctl_devices) 15min 30min 1h 8h" ;;
            explain) words="$(_davyctl_names 'alarms --all' rule | sort -u) $(_davyctl_devices) $(_davyctl_names points point) $builtin" ;;
            points) words="$(_davyctl_devices) $(_davyctl_names points point)" ;;
            history) words=$(_davyctl_names points point) ;;
            presets) words="$(_davyctl_names presets name) $(_davyctl_names presets formula)" ;;
            log-level) words='error warning notice info debug' ;;
            scan | frames) words=$(_davyctl_names status name) ;;
            identify) words="$(_davyctl_devices) $(_davyctl_names status name)" ;;
            read) words="$(_davyctl_names status name) coil discrete input holding" ;;
            backup | check | diff)
                mapfile -t COMPREPLY < <(compgen -f -- "$current")
                return
                ;;
            esac
        fi
        ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$before$current")
    COMPREPLY=("${COMPREPLY[@]#"$before"}")
}

complete -F _davyctl davyctl
