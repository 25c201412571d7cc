#include "etcd/password_file.h"

#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
is_regular(int fd)
{
	struct stat about;

	return fstat(fd, &about) == 0 && S_ISREG(about.st_mode);
}

/* Byte by byte, for what comes behind the line is for others. Returns its length, or -1 with errno. */
static ssize_t
read_line(int fd, char *line, size_t size)
{
	size_t len = 0;
	ssize_t got;

	while ((got = read(fd, line + len, 1)) == 1) {
		if (line[len] == '\n')
			return (ssize_t)len;
		if (++len == size) {
			errno = EMSGSIZE;
			return -1;
		}
	}
	return got == -1 ? -1 : (ssize_t)len;
}

char *
password_file_read(const char *path, bool again, const char **why)
{
	char line[SECRET_MAX + 1], *secret = NULL;
	const char *wrong = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC | (again ? O_NONBLOCK : 0));
	ssize_t len = -1;

	if (fd != -1 && again && !is_regular(fd))
		errno = EINVAL;
	else if (fd != -1)
		len = read_line(fd, line, sizeof(line));
	if (len == -1) {
		wrong = errno == EMSGSIZE ? "its first line is too long" : strerror(errno);
	} else if (len == 0 || memchr(line, '\0', (size_t)len) != NULL) {
		errno = EINVAL;
		wrong = len == 0 ? "its first line is empty" : "its first line has a NUL in it";
	} else if ((secret = secret_new(line, (size_t)len)) == NULL) {
		wrong = errno == EMSGSIZE ? "its first line is too long" : "no memory for it";
	}
	if (fd != -1) {
		int saved = errno;

		close(fd);
		errno = saved;
	}
	explicit_bzero(line, sizeof(line));
	if (why != NULL)
		*why = wrong;
	return secret;
}
