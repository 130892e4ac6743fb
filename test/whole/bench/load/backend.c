// A doveadm server that answers at once, cheap enough not to be what is measured: one process, one epoll loop, OpenSSL.
//
//   backend CERTIFICATE KEY
//
// Listens on two ports of 127.0.0.1 that the kernel chooses and prints them: plain, and TLS from the first byte. PLAIN is accepted
// whatever it says. A `fetch` is answered with as many bytes as its last argument says (a cell of x), any other command with one short
// row. What is written must leave before the same connection is read again, so no reply is ever held whole.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECE 16379 // of a long reply: with the header of its frame just one TLS record; a byte more would make two of each

enum state { VERSION, LOGIN, COMMANDS };

struct connection {
  int fd;
  SSL *tls; // NULL: plain
  enum state state;
  int framed; // the client's minor is 1 or more: each piece of a reply has a header of a channel and its length
  char in[8192];
  size_t in_length;
  char out[2 * PIECE];
  size_t out_length, out_sent;
  size_t owed; // bytes of x that the present reply still needs
  int ends_owed;
};

static SSL_CTX *tls_context;
static int poll_fd;
static char filling[PIECE];

static void put(struct connection *c, const void *bytes, size_t length) {
  memcpy(c->out + c->out_length, bytes, length);
  c->out_length += length;
}

static void put_reply(struct connection *c, const void *bytes, size_t length) {
  if (c->framed) {
    unsigned char head[5] = {0, length >> 24, length >> 16, length >> 8, length};
    put(c, head, sizeof head);
  }
  put(c, bytes, length);
}

// 1: all has left. 0: the socket is full. -1: the connection is gone.
static int send_out(struct connection *c) {
  while (c->out_sent < c->out_length) {
    const char *from = c->out + c->out_sent;
    size_t length = c->out_length - c->out_sent;
    int sent;
    if (c->tls != NULL) {
      sent = SSL_write(c->tls, from, length);
      if (sent <= 0) return SSL_get_error(c->tls, sent) == SSL_ERROR_WANT_WRITE ? 0 : -1;
    } else {
      sent = write(c->fd, from, length);
      if (sent < 0) return errno == EAGAIN ? 0 : -1;
    }
    c->out_sent += sent;
  }
  c->out_sent = c->out_length = 0;
  return 1;
}

// Sends what is there, and what a long reply still owes, as far as the socket takes it.
static int flow(struct connection *c) {
  for (;;) {
    int sent = send_out(c);
    if (sent != 1) return sent;
    if (c->owed > 0) {
      size_t length = c->owed < PIECE ? c->owed : PIECE;
      put_reply(c, filling, length);
      c->owed -= length;
    } else if (c->ends_owed) {
      put_reply(c, "\t\n+\n", 4);
      c->ends_owed = 0;
    } else return 1;
  }
}

static int take_line(struct connection *c, const char *line) {
  int major, minor;
  switch (c->state) {
  case VERSION:
    if (sscanf(line, "VERSION\tdoveadm-server\t%d\t%d", &major, &minor) != 2) return -1;
    c->framed = minor >= 1;
    if (minor >= 1) put(c, "VERSION\tdoveadm-client\t1\t2\n", 27);
    put(c, "-\n", 2);
    c->state = LOGIN;
    return 0;
  case LOGIN:
    if (strncmp(line, "PLAIN\t", 6) != 0) return -1;
    put(c, "+\n", 2);
    c->state = COMMANDS;
    return 0;
  case COMMANDS:
    if (strstr(line, "\tfetch\t") != NULL) {
      c->owed = strtoull(strrchr(line, '\t') + 1, NULL, 10);
      c->ends_owed = 1;
    } else {
      static const char row[] = "User quota\tSTORAGE\t1814\t102400\t1\t\n+\n";
      put_reply(c, row, sizeof row - 1);
    }
    return 0;
  }
  return -1;
}

// 0: go on later. -1: the connection is over.
static int serve(struct connection *c) {
  for (;;) {
    int flowed = flow(c);
    if (flowed != 1) return flowed;
    char *feed = memchr(c->in, '\n', c->in_length);
    if (feed != NULL) {
      *feed = '\0';
      if (take_line(c, c->in) != 0) return -1;
      c->in_length -= feed + 1 - c->in;
      memmove(c->in, feed + 1, c->in_length);
      continue;
    }
    size_t room = sizeof c->in - c->in_length;
    if (room == 0) return -1;
    int got;
    if (c->tls != NULL) {
      // Makes the handshake too.
      got = SSL_read(c->tls, c->in + c->in_length, room);
      if (got <= 0) return SSL_get_error(c->tls, got) == SSL_ERROR_WANT_READ ? 0 : -1;
    } else {
      got = read(c->fd, c->in + c->in_length, room);
      if (got == 0) return -1;
      if (got < 0) return errno == EAGAIN ? 0 : -1;
    }
    c->in_length += got;
  }
}

static void close_connection(struct connection *c) {
  if (c->tls != NULL) SSL_free(c->tls);
  ERR_clear_error();
  close(c->fd);
  free(c);
}

static void accept_all(int listener, int with_tls) {
  int fd, on = 1;
  while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct connection *c = calloc(1, sizeof *c);
    c->fd = fd;
    if (with_tls) {
      c->tls = SSL_new(tls_context);
      SSL_set_fd(c->tls, fd);
      SSL_set_accept_state(c->tls);
    }
    // Edge-triggered: each event is served until the socket has no more to give or to take.
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event);
  }
}

static int open_listener(int *port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 4096) != 0 ||
      getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
    perror("listen");
    exit(1);
  }
  *port = ntohs(address.sin_port);
  return fd;
}

int main(int argc, char **argv) {
  if (argc != 3) return 64;
  signal(SIGPIPE, SIG_IGN);
  memset(filling, 'x', sizeof filling);
  tls_context = SSL_CTX_new(TLS_server_method());
  SSL_CTX_set_mode(tls_context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (SSL_CTX_use_certificate_chain_file(tls_context, argv[1]) != 1 ||
      SSL_CTX_use_PrivateKey_file(tls_context, argv[2], SSL_FILETYPE_PEM) != 1) {
    ERR_print_errors_fp(stderr);
    return 1;
  }
  int ports[2], listeners[2];
  poll_fd = epoll_create1(0);
  for (int n = 0; n < 2; n++) {
    listeners[n] = open_listener(&ports[n]);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &listeners[n]};
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, listeners[n], &event);
  }
  printf("{\"plain\":%d,\"tls\":%d}\n", ports[0], ports[1]);
  fflush(stdout);
  struct epoll_event events[256];
  for (;;) {
    int count = epoll_wait(poll_fd, events, 256, -1);
    for (int n = 0; n < count; n++) {
      int *listener = events[n].data.ptr;
      if (listener == &listeners[0] || listener == &listeners[1]) accept_all(*listener, listener == &listeners[1]);
      else if (serve(events[n].data.ptr) != 0) close_connection(events[n].data.ptr);
    }
  }
}
