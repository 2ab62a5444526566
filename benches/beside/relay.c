/* relay A B THREADS [offload]: carries packets between two TUN devices and looks at none. No router in user space on TUN is faster than this.
 * THREADS is 1 (both directions in one loop) or 2 (one each). With offload segments stay whole, as the kernel hands them over.
 * Says "up" once both devices are there, for them to be moved into their hosts' namespaces. Ends with its standard input. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { LARGEST = 65536 + 64, BURST = 64 };

static int devices[2];

static int open_device(const char *name, int offload)
{
	struct ifreq asked = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	int device = open("/dev/net/tun", O_RDWR | O_NONBLOCK);

	snprintf(asked.ifr_name, sizeof asked.ifr_name, "%s", name);
	if (offload)
		asked.ifr_flags |= IFF_VNET_HDR;
	if (device < 0 || ioctl(device, TUNSETIFF, &asked) < 0)
		goto refused;
	if (offload && ioctl(device, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) < 0)
		goto refused;
	return device;
refused:
	perror(name);
	exit(3);
}

/* What one device has, at most a burst of it. What the other has no room for is lost, as on a wire. */
static void carry(int from, int to, char *buffer)
{
	int packet;

	for (packet = 0; packet < BURST; packet++) {
		ssize_t length = read(from, buffer, LARGEST);

		if (length <= 0)
			return;
		if (write(to, buffer, length) < 0 && errno == EBADF)
			exit(1);
	}
}

static void loop(int first, int last)
{
	char *buffer = malloc(LARGEST);

	for (;;) {
		struct pollfd waited[3] = { { .fd = devices[0], .events = POLLIN }, { .fd = devices[1], .events = POLLIN }, { .fd = 0, .events = POLLIN } };
		int side;

		poll(waited + first, last - first + 1 + (last == 1), -1);
		/* Nobody writes there: it is its end. */
		if (last == 1 && waited[2].revents)
			exit(0);
		for (side = first; side <= last; side++)
			if (waited[side].revents & POLLIN)
				carry(devices[side], devices[!side], buffer);
	}
}

static void *second(void *nothing)
{
	loop(1, 1);
	return nothing;
}

int main(int argc, char **argv)
{
	int threads = argc > 3 ? atoi(argv[3]) : 0, offload = argc > 4 && !strcmp(argv[4], "offload");
	pthread_t thread;

	if (argc < 4 || argc > 5 || (argc > 4 && !offload) || threads < 1 || threads > 2) {
		fprintf(stderr, "usage: relay A B 1|2 [offload]\n");
		return 2;
	}
	devices[0] = open_device(argv[1], offload);
	devices[1] = open_device(argv[2], offload);
	puts("up");
	fflush(stdout);
	if (threads == 1)
		loop(0, 1);
	if (pthread_create(&thread, NULL, second, NULL))
		return 3;
	loop(0, 0);
}
