// SPDX-License-Identifier: Apache-2.0
//
// A scripted HTTP/1.1 server on 127.0.0.1, for tests of what speaks HTTP: a handler answers each request, with a proper
// answer or with any bytes, and may stall, cut off or close. One thread a connection.
#pragma once

#include <netinet/in.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "s3overlay/http_transport.h"
#include "s3overlay/mutex.h"
#include "s3overlay/unique_fd.h"

namespace s3overlay::testing {

struct ServedRequest {
  std::string method;
  std::string target;  // As it stood in the request line.
  std::vector<HttpHeader> headers;
  std::string body;

  const std::string* FindHeader(std::string_view name) const;
};

// The connection that a request came on, for its handler.
class ServedConnection {
 public:
  explicit ServedConnection(int fd) : fd_(fd) {}

  // A whole answer. Content-Length is added; the body is not sent in answer to HEAD.
  void Reply(int status, const std::vector<HttpHeader>& headers = {}, std::string_view body = {});

  // Any bytes, as they are. Errors are of no interest here: the peer may have gone.
  void SendRaw(std::string_view bytes);

  // No more requests are read; the connection is closed when the handler returns.
  void Close() { closed_ = true; }

  // Waits, saying nothing, until the client gives up or the server is destroyed.
  void StallUntilClosed();

 private:
  friend class HttpServer;
  bool ReadRequest(ServedRequest& request);
  bool ReadMore();

  const int fd_;
  std::string input_;
  bool answers_head_ = false;
  bool closed_ = false;
};

class HttpServer {
 public:
  struct Place {
    in_addr_t address = INADDR_LOOPBACK;  // Of 127.0.0.0/8.
    uint16_t port = 0;                    // 0: a free one.
  };
  // Runs on the threads of the connections, several at a time.
  using Handler = std::function<void(const ServedRequest&, ServedConnection&)>;

  explicit HttpServer(Handler handler) : HttpServer(Place(), std::move(handler)) {}
  HttpServer(Place place, Handler handler);
  ~HttpServer();  // Ends every connection first, so that no handler stalls on.
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // "http://127.0.0.1:PORT".
  std::string url() const;
  uint16_t port() const { return port_; }

  int connections() const { return connections_; }  // Accepted so far.
  int open_connections() const { return served_; }  // Of those, that neither side has closed.
  int requests() const { return requests_; }        // Read so far.

 private:
  struct Connection {
    UniqueFd fd;
    std::thread thread;
  };
  void Accept();
  void Serve(int fd);

  const Handler handler_;
  uint16_t port_ = 0;  // Before the listener, whose making sets it.
  UniqueFd listener_;

  std::atomic<int> connections_{0};
  std::atomic<int> served_{0};
  std::atomic<int> requests_{0};
  std::thread acceptor_;

  Mutex mu_;
  std::list<Connection> open_ S3OVERLAY_GUARDED_BY(mu_);  // Grows until the server is destroyed.
};

// A port of 127.0.0.1 on which nobody listens, kept from others as long as this lives.
class RefusedPort {
 public:
  RefusedPort();
  uint16_t port() const { return port_; }
  std::string url() const;

 private:
  uint16_t port_ = 0;  // As above.
  UniqueFd fd_;
};

}  // namespace s3overlay::testing
