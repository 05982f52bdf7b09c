#!/usr/bin/env bash
# What the scripts of this folder share; sourced by them.
#
# A text file is read line by line into TIPC, "section/key" -> value. Values become words of a command by splitting at
# blanks, never by the shell: nothing of a text file is expanded, globbed or run as shell code, and of commands only the
# Python scripts named in SCRIPTS are run.

SCRIPTS=(
    tools/train.py tools/val.py tools/export.py tools/predict.py tools/compress.py
    test_tipc/make_data.py test_tipc/compare_results.py
)
MODES=(lite_train_lite_infer whole_infer)
declare -gA TIPC=()

die() { # die MESSAGE [HINT]
    printf 'error: %s\n' "$1" >&2
    [[ $# -lt 2 ]] || printf '  hint: %s\n' "$2" >&2
    exit 2
}

is_one_of() { # is_one_of WORD WORDS...
    local wanted=$1 word
    shift
    for word in "$@"; do [[ $word != "$wanted" ]] || return 0; done
    return 1
}

start() { # start CONFIG.txt MODE: what every script begins with; sets MODE, MODEL, OUTPUT, LOGS, RESULTS and PYTHON
    [[ $# -eq 2 ]] || die "expected a text file and a mode" "bash $0 test_tipc/configs/MODEL/train_infer_python.txt ${MODES[0]}"
    MODE=$2
    is_one_of "$MODE" "${MODES[@]}" || die "unknown mode '$MODE'" "choose one of: ${MODES[*]}"
    read_config "$1"
    local variant
    variant=$(basename "$1" .txt)
    MODEL=$(value model model_name)
    [[ $MODEL =~ ^[a-z0-9_]+$ ]] || die "model_name is '$MODEL', expected letters, digits and underscores"
    OUTPUT=test_tipc/output/$MODEL/$MODE
    LOGS=$OUTPUT/logs/$variant
    RESULTS=$OUTPUT/results_$variant.log
    # The suite's own environment is there after `make setup`; PYTHON names another one.
    if [[ -z ${PYTHON:-} ]]; then
        PYTHON=$(value model python)
        [[ ! -x .venv/bin/python ]] || PYTHON=.venv/bin/python
    fi
    CONFIG=$(mode_value model --config)
    mkdir -p "$LOGS"
}

read_config() { # read_config FILE
    local line section="" number=0
    [[ -f $1 ]] || die "there is no file $1" "name one of test_tipc/configs/*/*.txt"
    TIPC=()
    while IFS= read -r line || [[ -n $line ]]; do
        number=$((number + 1))
        case $line in
            "" | "##"*) ;;
            "==="*"_params==="*)
                section=${line//=/}
                section=${section%_params}
                ;;
            *:*)
                [[ -n $section ]] || die "$1:$number: a value before the first section"
                TIPC["$section/${line%%:*}"]=${line#*:}
                ;;
            *) die "$1:$number: expected key:value, got '$line'" ;;
        esac
    done <"$1"
}

value() { # value SECTION KEY: prints it as it is written
    local name="$1/$2"
    [[ -n ${TIPC["$name"]+set} ]] || die "the text file has no '$2' in its section $1_params"
    printf '%s\n' "${TIPC["$name"]}"
}

mode_value() { # mode_value SECTION KEY: of 'mode=value|mode=value' the part of MODE; anything else is for all modes
    local written part
    local -a parts
    written=$(value "$1" "$2")
    IFS='|' read -r -a parts <<<"$written"
    for part in "${parts[@]}"; do
        if [[ ${part%%=*} == "$MODE" ]]; then
            printf '%s\n' "${part#*=}"
            return
        fi
        if ! is_one_of "${part%%=*}" "${MODES[@]}"; then
            printf '%s\n' "$written"
            return
        fi
    done
    die "'$2' in $1_params has no value for the mode $MODE"
}

command_words() { # command_words SECTION KEY: fills the array WORDS with the words of a command that may be run
    local written
    written=$(value "$1" "$2")
    read -r -a WORDS <<<"$written"
    is_one_of "${WORDS[0]:-}" "${SCRIPTS[@]}" || die "'$2' runs '${WORDS[0]:-}'" "allowed are: ${SCRIPTS[*]}"
}

run_step() { # run_step NAME SCRIPT WORDS...: runs it, its output in a log of the step, one line about it in RESULTS
    local name=$1 log=$LOGS/$1.log times=$LOGS/.times status=0 real cpu outcome="Run successfully"
    shift
    local TIMEFORMAT="%R %U %S"
    { time "$PYTHON" "$@" >"$log" 2>&1 || status=$?; } 2>"$times"
    read -r real cpu < <(tr , . <"$times" | awk '{ printf "%s %.2f\n", $1, $2 + $3 }')
    rm -f "$times"
    [[ $status -eq 0 ]] || outcome="Run failed"
    printf '%s with command - %s - %s - %s s - %s s CPU - %s - %s\n' \
        "$outcome" "$MODEL" "$name" "$real" "$cpu" "$*" "$log" | tee -a "$RESULTS"
    [[ $status -ne 0 ]] || return 0
    tail -n 15 "$log" | sed 's/^/    /' >&2
    exit 1
}

predict() { # predict STEP FOLDER WORDS...: the images of the mode, with what the words say; the folder is made afresh
    local step=$1 folder=$2 images
    shift 2
    images=$(mode_value infer --image_path)
    rm -rf -- "$folder"
    command_words infer inference
    run_step "$step" "${WORDS[@]}" "$@" --image_path "$images" --save_dir "$folder"
}

trained() { # trained: prints the folder of the trained network
    local weights
    weights=$(value model --model_path)
    [[ -d $weights ]] || die "there is no trained network at $weights" \
        "bash test_tipc/test_train_inference_python.sh test_tipc/configs/$MODEL/train_infer_python.txt ${MODES[0]}"
    printf '%s\n' "$weights"
}

deploy() { # deploy: export, infer, compare
    local weights name=${LOGS##*/}
    weights=$(trained)
    command_words export export
    run_step export "${WORDS[@]}" --config "$CONFIG" --model_path "$weights" --save_dir "$OUTPUT/model_$name" --overwrite
    infer_and_compare "$OUTPUT/model_$name"
}

infer_and_compare() { # infer_and_compare FOLDER: run it on every engine and thread count, compare with the checkpoint
    local folder=$1 weights engines threads engine count limit variant=${LOGS##*/}
    local -a engine_list thread_list
    weights=$(trained)
    engines=$(mode_value infer --engine)
    threads=$(mode_value infer --threads)
    limit=$(mode_value compare --min_equal)
    IFS='|' read -r -a engine_list <<<"$engines"
    IFS='|' read -r -a thread_list <<<"$threads"

    # Once for all variants; test_train_inference_python.sh begins without it.
    if [[ ! -d $OUTPUT/checkpoint ]]; then
        predict infer_checkpoint "$OUTPUT/checkpoint.part" --config "$CONFIG" --model_path "$weights" --device cpu
        mv "$OUTPUT/checkpoint.part" "$OUTPUT/checkpoint"
    fi
    for engine in "${engine_list[@]}"; do
        for count in "${thread_list[@]}"; do
            predict "infer_${engine}_$count" "$OUTPUT/$variant/${engine}_$count" \
                --model "$folder" --engine "$engine" --threads "$count"
            command_words compare compare
            run_step "compare_${engine}_$count" "${WORDS[@]}" --min_equal "$limit" --name "$engine" \
                --reference "$OUTPUT/checkpoint" --result "$OUTPUT/$variant/${engine}_$count" \
                --json "$OUTPUT/$variant/compare_${engine}_$count.json"
        done
    done
}
