// A load generator for Dovecot's doveadm protocol, cheap enough not to be what is measured: one process, one epoll loop, no framing
// (it announces minor 0, so that every server answers in plain lines).
//
//   load [-c CLIENTS] [-s SECONDS] [-a TOKEN] [-r] [-h] [-p RATE] TARGET LINE
//
// TARGET is the path of a UNIX socket, or a port of 127.0.0.1. LINE is one command line without its line feed. Each client says it,
// awaits the reply, and says it again; with -r it connects anew for every command. TOKEN answers a greeting `-`, as PLAIN does.
// With -h LINE is a whole request of HTTP instead, and an answer is one with Content-Length; one that is not 200, or whose body
// does not begin with `[["doveadmResponse"`, is failed.
// With -p all clients together send RATE commands a second, each at its time; a command's time begins then, also when the client still
// waited for the reply before.
// Prints one line of JSON: commands, failed (an answer that is not `+`), lost (a connection that ended early), seconds, bytes read,
// and microseconds of a command: p50, p90, p99 and the longest. With -r a command's time begins with its connect. Before it come two
// lines {"commands":N}, at two fifths of the time and shortly before its end: between them all connections are open.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum state {
  GREETING, // a line that begins with `+` ends it; one with `-` asks for PLAIN
  ROWS,     // up to the first line feed
  STATUS,   // up to the next
  HEAD,     // of an answer of HTTP, up to the empty line
  BODY,     // as many bytes as the head says
};

struct client {
  int fd;
  enum state state;
  int at_line_start;
  char first; // the first byte of the line that is being read; of HTTP `+` for an answer that is right
  double since;
  double due; // with -p: when its next command is to be sent
  int waits;  // for that
  char head[4096]; // of HTTP, with the beginning of the body
  size_t held;
  long long left;
};

static const char *target, *token;
static int reconnects, is_http, poll_fd;
static char line[4096];
static size_t line_length;
static double until;
static double period; // with -p: between two commands of one client
static double marks[2]; // when the number of commands is printed
static int marks_printed;
static unsigned long commands, failed, lost;
static unsigned long long bytes;
static double *times;
static size_t times_count, times_room;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

// Lines are short and the socket's buffer is empty: what does not fit at once is a server that reads nothing.
static void say(struct client *client, const char *text, size_t length) {
  if (write(client->fd, text, length) != (ssize_t)length) die("write");
}

static int dial(void) {
  if (strchr(target, '/') != NULL) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, target, sizeof address.sun_path - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    // A full queue of the listener is waited for here, since connect() of such a socket blocks; TCP has SYNs for that.
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) die("connect");
    return fd;
  }
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons(atoi(target)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) die("connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

static void ask(struct client *client);

static void open_client(struct client *client) {
  client->since = now();
  client->fd = dial();
  fcntl(client->fd, F_SETFL, O_NONBLOCK);
  client->state = GREETING;
  client->at_line_start = 1;
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, client->fd, &event);
  if (is_http) ask(client);
  else say(client, "VERSION\tdoveadm-server\t1\t0\n", 27);
}

static void ask(struct client *client) {
  if (!reconnects) client->since = period > 0 ? client->due : now();
  client->waits = 0;
  client->state = is_http ? HEAD : ROWS;
  client->held = 0;
  say(client, line, line_length);
}

static void keep_time(double seconds) {
  if (times_count == times_room) {
    times_room = times_room == 0 ? 1 << 16 : times_room * 2;
    times = realloc(times, times_room * sizeof *times);
  }
  times[times_count++] = seconds;
}

// The end of one command. 0: this client is closed for good.
static int finish(struct client *client) {
  double at = now();
  commands++;
  if (marks_printed < 2 && at >= marks[marks_printed]) {
    marks_printed++;
    printf("{\"commands\":%lu}\n", commands);
    fflush(stdout);
  }
  if (client->first != '+') failed++;
  keep_time(at - client->since);
  if (at < until && !reconnects && period == 0) {
    ask(client);
    return 1;
  }
  if (period > 0 && (client->due += period) < until) {
    client->waits = 1;
    return 1;
  }
  close(client->fd);
  if (at >= until || period > 0) return 0;
  open_client(client);
  return 1;
}

// What was read of one client. 0: it is closed for good. What follows a status in the same piece can only be an empty line.
static int take(struct client *client, const char *at, const char *end) {
  while (at < end) {
    if (client->at_line_start) client->first = *at;
    const char *feed = memchr(at, '\n', end - at);
    client->at_line_start = feed != NULL;
    if (feed == NULL) return 1;
    at = feed + 1;
    switch (client->state) {
    case GREETING:
      if (client->first == '+' && period > 0) client->waits = 1;
      else if (client->first == '+') ask(client);
      else if (client->first == '-') {
        char plain[512];
        if (token == NULL) {
          fprintf(stderr, "a password is wanted\n");
          exit(1);
        }
        say(client, plain, snprintf(plain, sizeof plain, "PLAIN\t%s\n", token));
      }
      break;
    case ROWS:
      client->state = STATUS;
      break;
    case STATUS:
      return finish(client);
    case HEAD:
    case BODY:
      break;
    }
  }
  return 1;
}

// The same of HTTP. What follows an answer in the same piece would be another one, which nobody asked for.
static int take_http(struct client *client, const char *at, const char *end) {
  static const char good[] = "[[\"doveadmResponse\"";
  if (client->state == HEAD) {
    size_t room = sizeof client->head - 1 - client->held, count = end - at;
    if (count > room) count = room;
    memcpy(client->head + client->held, at, count);
    client->held += count;
    client->head[client->held] = 0;
    char *body = strstr(client->head, "\r\n\r\n");
    if (body == NULL) return 1;
    body += 4;
    const char *length = strcasestr(client->head, "\r\nContent-Length:");
    size_t begun = client->head + client->held - body;
    if (length == NULL || length > body || (begun < sizeof good - 1 && atoll(length + 17) >= (long long)sizeof good)) {
      if (length == NULL || length > body) {
        fprintf(stderr, "an answer without Content-Length\n");
        exit(1);
      }
      return 1;
    }
    client->first = strncmp(client->head, "HTTP/1.1 200 ", 13) == 0 && strncmp(body, good, sizeof good - 1) == 0 ? '+' : '-';
    client->left = atoll(length + 17) - begun - ((end - at) - count);
    client->state = BODY;
  } else {
    client->left -= end - at;
  }
  return client->left > 0 ? 1 : finish(client);
}

// With -p: sends what is due, and sets the timer to the next one.
static void keep_pace(struct client *all, int clients, int timer) {
  double at = now(), next = at + 1;
  for (int n = 0; n < clients; n++) {
    if (!all[n].waits) continue;
    if (all[n].due <= at) ask(&all[n]);
    else if (all[n].due < next) next = all[n].due;
  }
  struct itimerspec spec = {.it_value = {.tv_sec = (time_t)next, .tv_nsec = (long)((next - (time_t)next) * 1e9)}};
  timerfd_settime(timer, TFD_TIMER_ABSTIME, &spec, NULL);
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static double microseconds(double share) {
  return times_count == 0 ? 0 : times[(size_t)((times_count - 1) * share)] * 1e6;
}

int main(int argc, char **argv) {
  int clients = 1, option;
  double seconds = 1, rate = 0;
  while ((option = getopt(argc, argv, "c:s:a:rhp:")) != -1) {
    switch (option) {
    case 'c': clients = atoi(optarg); break;
    case 's': seconds = atof(optarg); break;
    case 'a': token = optarg; break;
    case 'r': reconnects = 1; break;
    case 'h': is_http = 1; break;
    case 'p': rate = atof(optarg); break;
    default: return 64;
    }
  }
  if (optind + 2 != argc || strlen(argv[optind + 1]) + 2 > sizeof line) return 64;
  target = argv[optind];
  line_length = snprintf(line, sizeof line, is_http ? "%s" : "%s\n", argv[optind + 1]);
  signal(SIGPIPE, SIG_IGN);
  poll_fd = epoll_create1(0);

  double start = now();
  until = start + seconds;
  marks[0] = start + seconds * 0.4;
  marks[1] = start + seconds * 0.95;
  struct client *all = calloc(clients, sizeof *all);
  if (rate > 0) period = clients / rate;
  int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  struct epoll_event ticks = {.events = EPOLLIN, .data.ptr = NULL};
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, timer, &ticks);
  for (int n = 0; n < clients; n++) all[n].due = start + 0.1 + period * n / clients;
  for (int n = 0; n < clients; n++) open_client(&all[n]);
  int open = clients;
  static char piece[1 << 18];
  struct epoll_event events[256];
  // A server that hangs is given up; what is open then is lost.
  while (open > 0 && now() < until + 30) {
    if (period > 0) keep_pace(all, clients, timer);
    int count = epoll_wait(poll_fd, events, 256, 1000);
    for (int n = 0; n < count; n++) {
      struct client *client = events[n].data.ptr;
      if (client == NULL) {
        (void)!read(timer, piece, sizeof piece);
        continue;
      }
      ssize_t got = read(client->fd, piece, sizeof piece);
      if (got < 0 && errno == EAGAIN) continue;
      if (got > 0) {
        bytes += got;
        if (!(is_http ? take_http : take)(client, piece, piece + got)) open--;
        continue;
      }
      lost++;
      close(client->fd);
      if (now() < until) open_client(client);
      else open--;
    }
  }
  double took = now() - start;
  qsort(times, times_count, sizeof *times, by_size);
  printf("{\"commands\":%lu,\"failed\":%lu,\"lost\":%lu,\"seconds\":%.3f,\"bytes\":%llu,"
         "\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"longest\":%.1f}\n",
         commands, failed, lost + open, took, bytes, microseconds(0.5), microseconds(0.9), microseconds(0.99),
         microseconds(1));
  return 0;
}
