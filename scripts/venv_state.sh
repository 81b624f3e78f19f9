#!/bin/sh
# Prints the state of a virtual environment: `venv_state.sh DIRECTORY [PYTHON]`.
#
#   ok       it works, and it has the Python that was asked for
#   missing  there is none
#   foreign  it is not from this project's Makefile
#   broken   its Python was removed
#   moved    it was made at another path, which its programs still name
#   other    it has another Python than the one that was asked for
venv=$1
python=$2
identity='import sys; print(sys.version_info[:3], sys.base_prefix)'

if [ ! -e "$venv" ] && [ ! -L "$venv" ]; then
    echo missing
elif [ -L "$venv" ] || { [ ! -e "$venv/made-by-make" ] && [ ! -e "$venv/uv" ]; }; then
    echo foreign
elif ! current=$("$venv/bin/python" -c "$identity" 2>/dev/null); then
    echo broken
elif ! head -n 3 "$venv/bin/pip" 2>/dev/null | grep -qF "$(pwd -P)/$venv/bin/"; then
    echo moved
elif [ -n "$python" ] && [ "$current" != "$("$python" -c "$identity" 2>/dev/null)" ]; then
    echo other
else
    echo ok
fi
