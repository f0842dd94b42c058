# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_websockify_global_optspecs
    string join \n unix-listen= unix-listen-mode= unix-target= bind-source= inetd 6/prefer-ipv6 cert= key= key-password= key-password-file= ssl-only ssl-version= ssl-ciphers= verify-client cafile= ssl-target ssl-target-cafile= ssl-target-name= ssl-target-cert= ssl-target-key= ssl-target-insecure web= file-only auth-plugin= auth-source= web-auth token-plugin= token-source= host-token token-from= token-issuer= token-audience= token-expiry token-errors= allow-target= target-config= trusted-proxy= accept-proxy-protocol proxy-protocol= frame-ancestors= subprotocol= legacy-protocols health-path= metrics-path= control-socket= max-connections= max-connections-per-address= heartbeat= run-once timeout= idle-timeout= drain-timeout= record= D/daemon pid-file= log-file= syslog= legacy-syslog v/verbose traffic wrap-mode= wrap-user= sandbox= check-config check-instance= libserver demo h/help V/version
end

function __fish_websockify_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_websockify_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_websockify_using_subcommand
    set -l cmd (__fish_websockify_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l unix-listen -d 'Listen on a Unix socket instead of a port; a stale socket there is replaced, nothing else' -r -F
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l unix-listen-mode -d 'Permissions of the --unix-listen socket, in octal' -r
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l unix-target -d 'Bridge to a Unix socket instead of a port' -r -F
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l bind-source -d 'Connect to TCP targets from ADDRESS of this machine, of the target\'s family; repeat it or separate by commas, and sessions take turns. One has about 28000 ports towards one target: where they are all in use, the next is tried' -r
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l cert -d 'Certificate with its chain, in PEM; or a directory of them, as certbot\'s; repeat it or separate by commas, and each client gets the one it asks for by name. Unless given, self.pem if it is here. TLS and plain clients share the port' -r -F
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l key -d 'Key of the certificate, if it is not in the same file; as many as there are of --cert' -r -F
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l key-password -d 'Password of an encrypted key. Every user of this machine can read it in the list of processes: better use --key-password-file' -r
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l key-password-file -d 'File whose first line is the password of an encrypted key' -r -F
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l ssl-version -d 'Oldest TLS version to speak; default is tlsv1_2. OpenSSL has 1.1 only with --ssl-ciphers=DEFAULT@SECLEVEL=0' -r -f -a "default\t''
tlsv1_1\t''
tlsv1_2\t''
tlsv1_3\t''"
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l ssl-ciphers -d 'OpenSSL\'s names of ciphers (ciphers(1)), separated by colons; those that begin with TLS_ are for TLS 1.3, the others for older versions. Unless given, those with forward secrecy' -r
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l cafile -d 'Authorities of clients\' certificates, in PEM, with revocation lists if there are any; the system\'s authorities unless given' -r -F
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l ssl-target-cafile -d 'Authorities of the target\'s certificate, in PEM; the system\'s unless given' -r -F
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l ssl-target-name -d 'Name that the target\'s certificate must be for; its host unless given' -r
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l ssl-target-cert -d 'Certificate to show to the target' -r -F
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l ssl-target-key -d 'Key of --ssl-target-cert, if it is not in the same file' -r -F
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l web -d 'Serve the files beneath DIR on the same port' -r -F
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l auth-plugin -d 'Ask CLASS who may open a WebSocket: BasicHTTPAuth, ExpectOrigin, ClientCertCNAuth, or Exec for a program of your own; repeat it or separate by commas, and all must agree' -r
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l auth-source -d 'What the --auth-plugin of the same place goes by: USER:PASSWORD, which every user of this machine can read in the list of processes, or better @FILE as htpasswd -B makes it; origins (https://host, https://*.host); names in certificates; or a program and its arguments (websockify-helper(7)). In the environment, one a line' -r
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l token-plugin -d 'Ask CLASS where each session goes, by the token in its request (?token=…): TokenFile, ReadOnlyTokenFile, TokenFileName, UnixDomainSocketDirectory, BaseTokenAPI, JSONTokenApi, JWTTokenApi, TokenRedis, or Exec for a program of your own; takes the place of a target' -r
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l token-source -d 'What --token-plugin goes by: a file of lines \'TOKEN: HOST:PORT\' or a directory of such files; a directory of files or sockets that are named like tokens; the APIs\' URL with %s for the token; a key file of JWTTokenApi; HOST[:PORT[:DB[:PASSWORD[:NAMESPACE]]]] or a URL of TokenRedis (redis://, rediss://, unix://); or a program and its arguments (websockify-helper(7)). One with a password is better given in the environment' -r
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l token-from -d 'Where in a request its token is: query (?token=…), path (its last part), host or header:NAME; default is query' -r
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l token-issuer -d 'With JWTTokenApi, let only tokens count that say they are from NAME (iss)' -r
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l token-audience -d 'With JWTTokenApi, let only tokens count that say they are for NAME (aud)' -r
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l token-errors -d 'How a client with a wrong token or none learns of it: http is a status, which browsers hide from their user; close is a WebSocket that is closed with a code and a reason' -r -f -a "http\t''
close\t''"
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l allow-target -d 'Let tokens lead only to CIDR, HOST, *.DOMAIN, each with :PORT or :FIRST-LAST or for every port, or unix:DIRECTORY; repeat it or separate by commas. Judged is the address that a name turns out to have' -r
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l target-config -d 'The same as --token-plugin=TokenFile --token-source=FILE' -r
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l trusted-proxy -d 'Reverse proxy that may say who its clients are, by X-Forwarded-For, Forwarded and X-Forwarded-Proto: an address, a network like 10.0.0.0/8, or unix for whoever comes by a Unix socket; repeat it or separate by commas' -r
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l proxy-protocol -d 'Begin each connection to the target with a PROXY header, v1 or v2, that names the client' -r -f -a "v1\t''
v2\t''"
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l frame-ancestors -d 'Pages that may show ours in a frame: none, self, or origins like https://*.example.org; repeat it or separate by commas. Unless given, all may' -r
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l subprotocol -d 'Accept this WebSocket subprotocol too, beside \'binary\'; repeat it or separate by commas' -r
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l health-path -d 'Answer GET PATH with 200 while the program serves' -r
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l metrics-path -d 'Answer GET PATH with counts of sessions, bytes and refusals, as OpenMetrics text: whoever reaches the port can read them' -r
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l control-socket -d 'Unix socket for `websockify ctl`, which lists and ends sessions: for root and our own user. Unless given, \'control\' in systemd\'s RuntimeDirectory= if there is one' -r -F
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l max-connections -d 'Connections at once, web pages included. Unless given, 10000 or what the limit on open files has room for' -r
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l max-connections-per-address -d 'Connections at once from one IPv4 address or IPv6 /64 network; 0 is any number. Unless given, 256, and loopback (where reverse proxies live) is not counted' -r
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l heartbeat -d 'Ping each client every SECONDS and end the session of one that lets a whole interval pass without an answer; 0 is never' -r
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l timeout -d 'After SECONDS, accept nobody and exit as soon as no session is left; 0 is never' -r
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l idle-timeout -d 'Exit when there has been no connection for SECONDS; 0 is never' -r
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l drain-timeout -d 'When systemd restarts the service: wait SECONDS for sessions that it cannot keep, such as those inside TLS where the kernel does none, and serve meanwhile; then they are closed. All others go on' -r
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l record -d 'Copy each session into a file of its own, FILE.1, FILE.2 and so on, which noVNC\'s playback reads. It holds all that was typed, passwords too; only its owner may read it' -r -F
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l pid-file -d 'Write the process id to FILE while serving, and remove it at the end' -r -F
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l log-file -d 'Append the log to FILE, too; SIGHUP opens it anew, as logrotate needs it. Not to a pipe or a terminal: sessions wait for whoever reads those, as they do not for standard error' -r -F
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l syslog -d 'Send the log to a log server, too: the path of its socket, such as /dev/log, or host:port or [v6]:port for UDP' -r
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l wrap-mode -d 'When COMMAND ends: end with it (exit), go on (ignore: it may have gone to the background), or start it again (respawn)' -r -f -a "exit\t''
ignore\t''
respawn\t''"
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l wrap-user -d 'Run COMMAND as this user, with the user\'s groups; for root only' -r
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l sandbox -d 'Files, ports and processes out of reach, by the kernel: enforce does not start without, try takes what there is, off is for debuggers' -r -f -a "enforce\t''
try\t''
off\t''"
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l check-instance -d 'Judge /etc/websockify/NAME.conf and all files that it names, as websockify@NAME.socket does before it listens' -r
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l inetd -d 'Serve the socket on standard input, listening (inetd wait) or connected (nowait)'
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -s 6 -l prefer-ipv6 -d 'Listen on IPv6 addresses where there is a choice'
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l ssl-only -d 'Turn clients without TLS away: pages are redirected to https, WebSockets refused'
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l verify-client -d 'Let only clients in that show a valid certificate; implies --ssl-only'
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l ssl-target -d 'Speak TLS to the target, and verify its certificate'
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l ssl-target-insecure -d 'Accept any certificate of the target: whoever is in between can read and change everything'
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l file-only -d 'With --web, list no directories'
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l web-auth -d 'With --web, ask the --auth-plugin about pages, too'
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l host-token -d 'Take the name in the Host header, without a port, for the token'
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l token-expiry -d 'With JWTTokenApi, end a session when its token expires (exp); otherwise a token has to be valid only when the session begins'
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l accept-proxy-protocol -d 'Expect a PROXY header, version 1 or 2, at the beginning of each connection of a --trusted-proxy'
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l legacy-protocols -d 'Let clients of 2010 and 2011 in, too: WebSocket drafts hixie-75 and hixie-76, and Flash. Off unless given, because their frames have no mask, by which a page can slip requests of its own past proxies in between, and because Flash is told that any page may connect to any port of this host'
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l run-once -d 'Serve one WebSocket session and exit when it ends'
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -s D -l daemon -d 'Go into the background as soon as clients are served; exit status 1, with the reason on standard error, if that does not come to pass. Without --log-file and --syslog, the log goes to the log server of this machine'
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l legacy-syslog -d 'With --syslog, write records as before RFC 5424; journald\'s /dev/log wants them so'
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -s v -l verbose -d 'Log every request and connection'
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l traffic -d 'Write a mark to standard output for each piece of traffic: } from the client, { from the target, > to the target, < to the client; a dot beside it when the piece is a part'
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l check-config -d 'Judge the command line and all files that it names, say so and exit; nothing is opened to clients'
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l libserver -d 'Accepted because websockify has it, and changes nothing: there is one server here'
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -l demo -d 'Serve a page that shows the bridge at work, on loopback, with a target of its own'
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -s h -l help -d 'Print help'
complete -c websockify -n "not __fish_websockify_using_subcommand ctl" -s V -l version -d 'Print version'
complete -c websockify -n "__fish_websockify_needs_command" -a "ctl" -d 'List and end sessions of a running websockify, by way of its --control-socket. Answers are JSON'
complete -c websockify -n "__fish_websockify_using_subcommand ctl; and not __fish_seen_subcommand_from list kill stats metrics" -l control-socket -d 'Its control socket' -r -F
complete -c websockify -n "__fish_websockify_using_subcommand ctl; and not __fish_seen_subcommand_from list kill stats metrics" -s h -l help -d 'Print help'
complete -c websockify -n "__fish_websockify_using_subcommand ctl; and not __fish_seen_subcommand_from list kill stats metrics" -f -a "list" -d 'Live sessions: who, where to, since when, how many bytes'
complete -c websockify -n "__fish_websockify_using_subcommand ctl; and not __fish_seen_subcommand_from list kill stats metrics" -f -a "kill" -d 'End sessions that match all that is given'
complete -c websockify -n "__fish_websockify_using_subcommand ctl; and not __fish_seen_subcommand_from list kill stats metrics" -f -a "stats" -d 'Counts since the start'
complete -c websockify -n "__fish_websockify_using_subcommand ctl; and not __fish_seen_subcommand_from list kill stats metrics" -f -a "metrics" -d 'The same as OpenMetrics text, for monitoring'
complete -c websockify -n "__fish_websockify_using_subcommand ctl; and __fish_seen_subcommand_from list" -l control-socket -d 'Its control socket' -r -F
complete -c websockify -n "__fish_websockify_using_subcommand ctl; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c websockify -n "__fish_websockify_using_subcommand ctl; and __fish_seen_subcommand_from kill" -l id -d 'The session of this number' -r
complete -c websockify -n "__fish_websockify_using_subcommand ctl; and __fish_seen_subcommand_from kill" -l token -d 'Sessions with this token, by the first 16 digits of its SHA-256, as `list` shows it; or \'-\', and the token itself is the first line of standard input' -r
complete -c websockify -n "__fish_websockify_using_subcommand ctl; and __fish_seen_subcommand_from kill" -l target -d 'Sessions to this target, as `list` shows it' -r
complete -c websockify -n "__fish_websockify_using_subcommand ctl; and __fish_seen_subcommand_from kill" -l control-socket -d 'Its control socket' -r -F
complete -c websockify -n "__fish_websockify_using_subcommand ctl; and __fish_seen_subcommand_from kill" -s h -l help -d 'Print help'
complete -c websockify -n "__fish_websockify_using_subcommand ctl; and __fish_seen_subcommand_from stats" -l control-socket -d 'Its control socket' -r -F
complete -c websockify -n "__fish_websockify_using_subcommand ctl; and __fish_seen_subcommand_from stats" -s h -l help -d 'Print help'
complete -c websockify -n "__fish_websockify_using_subcommand ctl; and __fish_seen_subcommand_from metrics" -l control-socket -d 'Its control socket' -r -F
complete -c websockify -n "__fish_websockify_using_subcommand ctl; and __fish_seen_subcommand_from metrics" -s h -l help -d 'Print help'
