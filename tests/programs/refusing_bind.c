/* Another preloaded library: its bind refuses everything, in a way that no kernel does. */
#include <errno.h>
#include <sys/socket.h>

int bind(int fd, const struct sockaddr *address, socklen_t length)
{
    (void)fd, (void)address, (void)length;
    errno = EOWNERDEAD;
    return -1;
}
