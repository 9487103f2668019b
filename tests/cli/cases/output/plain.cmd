# Nothing but ASCII and line breaks outside a terminal, whatever the terminal could do.
TERM=xterm-256color phantom-gpu load-model resnet50 --explain | LC_ALL=C tr -d '\n -~' | od -c
TERM=xterm-256color phantom-gpu compare-models resnet50 | LC_ALL=C tr -d '\n -~' | od -c
