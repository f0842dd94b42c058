/* Binds sockets as it is told and says where they are:
 *
 *   binds [fork|threads] KIND HOST PORT...
 *
 * KIND is tcp4, tcp6, only6 (IPV6_V6ONLY), udp4, udp6, unspec (no family), short (an address that
 * is cut off) or unix (HOST is a path). With `fork` a child does it, with `threads` eight threads
 * do it a hundred times each on sockets of their own, in turn for each of the given. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un un;
};

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

static void say(int fd, char *text, size_t size)
{
    union address got;
    socklen_t length = sizeof got;
    char host[INET6_ADDRSTRLEN];
    int reuse = 0;
    socklen_t reuse_length = sizeof reuse;
    memset(&got, 0, sizeof got);
    getsockname(fd, &got.any, &length);
    getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, &reuse_length);
    if (got.any.sa_family == AF_INET)
        snprintf(text, size, "%s %d reuse=%d", inet_ntop(AF_INET, &got.v4.sin_addr, host, sizeof host),
                 ntohs(got.v4.sin_port), reuse);
    else if (got.any.sa_family == AF_INET6)
        snprintf(text, size, "%s %d reuse=%d", inet_ntop(AF_INET6, &got.v6.sin6_addr, host, sizeof host),
                 ntohs(got.v6.sin6_port), reuse);
    else
        snprintf(text, size, "%s", got.un.sun_path);
}

static void once(char **words, char *text, size_t size)
{
    const char *kind = words[0], *host = words[1];
    in_port_t port = htons((unsigned short)atoi(words[2]));
    int v6 = strchr(kind, '6') != NULL, one = 1;
    int type = strncmp(kind, "udp", 3) ? SOCK_STREAM : SOCK_DGRAM;
    union address address;
    socklen_t length;
    int fd;
    memset(&address, 0, sizeof address);
    if (!strcmp(kind, "unix")) {
        address.un.sun_family = AF_UNIX;
        strncpy(address.un.sun_path, host, sizeof address.un.sun_path - 1);
        length = sizeof address.un;
    } else if (v6) {
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_port = port;
        inet_pton(AF_INET6, host, &address.v6.sin6_addr);
        length = sizeof address.v6;
    } else {
        address.v4.sin_family = strcmp(kind, "unspec") ? AF_INET : AF_UNSPEC;
        address.v4.sin_port = port;
        inet_pton(AF_INET, host, &address.v4.sin_addr);
        length = strcmp(kind, "short") ? sizeof address.v4 : sizeof address.v4 - 1;
    }
    fd = socket(address.any.sa_family == AF_UNSPEC ? AF_INET : address.any.sa_family, type, 0);
    if (!strcmp(kind, "only6"))
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (bind(fd, &address.any, length))
        snprintf(text, size, "%s", strerror(errno));
    else
        say(fd, text, size);
    close(fd);
}

static void *often(void *words)
{
    char first[200], text[200];
    for (int i = 0; i < 100; i++) {
        once(words, text, sizeof text);
        if (i == 0)
            strcpy(first, text);
        else if (strcmp(first, text))
            strcpy(first, "sometimes this, sometimes that");
    }
    pthread_mutex_lock(&turn);
    printf("%s\n", first);
    pthread_mutex_unlock(&turn);
    return NULL;
}

int main(int argc, char **argv)
{
    int forked = argc > 1 && !strcmp(argv[1], "fork");
    int threads = argc > 1 && !strcmp(argv[1], "threads");
    int status;
    if (forked && fork() > 0)
        return wait(&status) < 0 || status;
    for (char **words = argv + 1 + (forked || threads); words[0] && words[1] && words[2]; words += 3) {
        char text[200];
        if (threads) {
            pthread_t thread[8];
            for (int i = 0; i < 8; i++)
                pthread_create(&thread[i], NULL, often, words);
            for (int i = 0; i < 8; i++)
                pthread_join(thread[i], NULL);
        } else {
            once(words, text, sizeof text);
            printf("%s\n", text);
        }
    }
    return 0;
}
