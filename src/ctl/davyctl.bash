# SPDX-License-Identifier: Apache-2.0
# bash completion for davyctl(1)

_davyctl_names()
{
    # $1: verb that lists; $2: key of the names
    davyctl "${_davyctl_socket[@]}" --json "$1" 2>/dev/null | sed -n "s/.*\"$2\": \"\([^\"]*\)\".*/\1/p"
}

_davyctl()
{
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} verb='' i words=''
    local -a _davyctl_socket=()
    local verbs='status watch points alarms ack reset events history check reload replay read verify log-level'
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
    COMPREPLY=()
    case $previous in
    --socket | --database | --config | --input)
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
        ;;
    --level) words='blue yellow orange red' ;;
    --since | --until | --every) words='1h 8h 24h 7d 30d' ;;
    --note | --zone | --limit) return ;;
    *)
        if [[ -z $verb ]]; then
            words="$verbs --socket --json --help --version"
        elif [[ $current == -* ]]; then
            case $verb in
            alarms) words='--all --json' ;;
            ack | reset) words='--note --json' ;;
            events) words='--since --until --zone --level --limit --database --json' ;;
            history) words='--since --until --every --database --json' ;;
            replay) words='--config --input --until' ;;
            verify) words='--database --json' ;;
            *) words='--json' ;;
            esac
        else
            case $verb in
            ack | reset) words=$(_davyctl_names alarms alarm) ;;
            points | history) words=$(_davyctl_names points point) ;;
            log-level) words='error warning notice info debug' ;;
            read) words='coil discrete input holding' ;;
            check)
                mapfile -t COMPREPLY < <(compgen -f -- "$current")
                return
                ;;
            esac
        fi
        ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -F _davyctl davyctl
