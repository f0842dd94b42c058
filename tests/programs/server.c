/* A server that sends everything back, for a port that is moved:
 *
 *   server PORT [WORD...]
 *
 * only6   listens on IPv6 addresses only
 * dual6   listens on all addresses by one socket
 * once    serves one connection and ends
 * daemon  goes to the background first, into a session of its own
 * deaf    ignores SIGTERM
 * end=N   ends with status N, after an answer, when a client sends anything
 *
 * Any other word is there to be found in the list of processes. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *word(char **words, const char *wanted)
{
    for (; *words; words++)
        if (!strncmp(*words, wanted, strlen(wanted)))
            return *words + strlen(wanted);
    return NULL;
}

static void echo(int fd, const char *end)
{
    char buffer[4096];
    ssize_t n;
    while ((n = read(fd, buffer, sizeof buffer)) > 0) {
        if (write(fd, buffer, (size_t)n) != n)
            break;
        if (end) {
            close(fd);
            exit(atoi(end));
        }
    }
    close(fd);
}

int main(int argc, char **argv)
{
    int only6 = word(argv, "only6") != NULL, one = 1, fd;
    int zero = 0;
    if (argc < 2)
        return 2;
    if (word(argv, "deaf"))
        signal(SIGTERM, SIG_IGN);
    if (only6 || word(argv, "dual6")) {
        struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons((unsigned short)atoi(argv[1]))};
        fd = socket(AF_INET6, SOCK_STREAM, 0);
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, only6 ? &one : &zero, sizeof one);
        one = bind(fd, (struct sockaddr *)&any, sizeof any);
    } else {
        struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[1]))};
        fd = socket(AF_INET, SOCK_STREAM, 0);
        one = bind(fd, (struct sockaddr *)&any, sizeof any);
    }
    if (one || listen(fd, 16)) {
        perror("server");
        return 1;
    }
    puts("listening");
    fflush(stdout);
    if (word(argv, "daemon") && fork() > 0)
        return 0;
    if (word(argv, "daemon"))
        setsid();
    for (;;) {
        int client = accept(fd, NULL, NULL);
        if (word(argv, "once")) {
            close(fd); /* Or somebody else would be connected, to be reset at the end. */
            echo(client, NULL);
            return 0;
        }
        if (word(argv, "end=")) {
            echo(client, word(argv, "end="));
        } else if (fork() == 0) {
            close(fd);
            echo(client, NULL);
            _exit(0);
        }
        close(client);
        signal(SIGCHLD, SIG_IGN);
    }
}
