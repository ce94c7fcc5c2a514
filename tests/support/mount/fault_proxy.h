// SPDX-License-Identifier: Apache-2.0
//
// FaultProxy: stands between a client and a real S3 server on 127.0.0.1, and does to their talk what networks and
// stores do: delays, cuts, stalls, resets, wrong answers, outages. So tests can share one server that is never stopped.
//
// Requests go on as they came, so that their signature holds (Host is the proxy's; a store that takes any Host accepts
// it). One thread a connection; a request's body is read whole.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "s3overlay/mutex.h"
#include "s3overlay/unique_fd.h"
#include "support/mount/http_message.h"
#include "support/mount/net_namespace.h"

namespace s3overlay::testing {

// What happens to an exchange. What is not set happens as always; the parts combine, in the order of the members.
struct Fault {
  std::chrono::milliseconds delay{0};                  // Before anything is answered.
  std::optional<HttpMessage> answer{};                 // In the store's place; Content-Length is added if it lacks.
  std::function<void(HttpMessage& answer)> rewrite{};  // May change everything about the store's answer.
  bool false_length = false;                           // Content-Length is what `rewrite` leaves, not the body's.
  std::optional<uint64_t> bytes_per_second{};          // Of the body at most, in small steps; 0 counts as 1.
  std::optional<uint64_t> stall_after{};               // Body bytes, then nothing until Release().
  std::optional<uint64_t> cut_after{};                 // Body bytes, then the connection is closed…
  bool reset = false;                                  // …by RST in place of FIN,
  bool half_close = false;                             // or only its sending half: what comes is still read.
};

// Which requests a fault meets. The operation is the method, with LIST for a GET that lists; empty means any.
struct FaultRule {
  std::string operation{};
  std::string target_part{};  // Anywhere in the request's target, as it is on the wire.
  Fault fault{};
  int count = std::numeric_limits<int>::max();  // How often it is used.
};

struct ProxiedRequest {
  std::string operation;
  std::string target;
  HttpMessage message;
  std::chrono::steady_clock::time_point came_at;
};

// Thread-safe.
class FaultProxy {
 public:
  enum class Store {
    kUp,
    kRefused,  // Nobody listens on the port; what was open is cut.
    kHangsUp,  // Connections are taken and closed at once; what was open is cut.
    kSilent,   // Connections are taken, requests are read, nothing is answered until this is over.
  };

  // With a `network` its clients are in that one; the store is in ours. The network outlives the proxy.
  explicit FaultProxy(uint16_t store_port, const NetNamespace* network = nullptr);
  // Ends every connection, stalled ones too.
  ~FaultProxy();
  FaultProxy(const FaultProxy&) = delete;
  FaultProxy& operator=(const FaultProxy&) = delete;

  std::string url() const;  // "http://127.0.0.1:PORT"
  uint16_t port() const { return port_; }

  // Holds when it returns.
  void SetStore(Store store);

  // The first rule that matches and has uses left is the one.
  void AddRule(FaultRule rule);
  void ClearRules();

  // Lets every answer go on that is stalled now.
  void Release();
  int stalled() const;  // How many answers are.

  // Requests that came so far.
  std::vector<ProxiedRequest> Requests() const;
  int Count(std::string_view operation, std::string_view target_part = {}) const;

 private:
  struct Connection {
    UniqueFd client;
    UniqueFd store;
    bool done = false;
    std::thread thread;
  };

  void Accept();
  bool ApplyStore(UniqueFd& listener);
  void StartConnection(UniqueFd client);
  void ReapConnections();
  void CutConnections() S3OVERLAY_REQUIRES(mu_);
  void Serve(Connection& connection);
  bool Exchange(Connection& connection, SocketReader& store, HttpMessage& request);
  Fault Admit(const HttpMessage& request);
  bool WaitUntilAnswering(std::chrono::milliseconds delay);
  bool AskStore(Connection& connection, SocketReader& store, const HttpMessage& request, HttpMessage& answer);
  bool ConnectToStore(Connection& connection, SocketReader& store);
  bool Deliver(int client, SocketReader& store, const Fault& fault, bool has_body, HttpMessage answer);
  bool SendPiece(int client, const Fault& fault, uint64_t& sent, std::string_view piece);
  bool SendAtRate(int client, const Fault& fault, std::string_view bytes);
  bool WaitForRelease();
  void Wake();

  const uint16_t store_port_;
  const NetNamespace* const network_;
  const UniqueFd keeper_;  // Bound and never listening: the port stays ours while the store is "refused".
  const UniqueFd wake_;    // eventfd
  uint16_t port_ = 0;

  mutable Mutex mu_;
  CondVar changed_;
  Store store_ S3OVERLAY_GUARDED_BY(mu_) = Store::kUp;
  std::optional<Store> applied_ S3OVERLAY_GUARDED_BY(mu_);  // What the listener has been made to do.
  bool stopping_ S3OVERLAY_GUARDED_BY(mu_) = false;
  std::list<FaultRule> rules_ S3OVERLAY_GUARDED_BY(mu_);
  std::vector<ProxiedRequest> requests_ S3OVERLAY_GUARDED_BY(mu_);
  std::list<Connection> connections_ S3OVERLAY_GUARDED_BY(mu_);
  uint64_t releases_ S3OVERLAY_GUARDED_BY(mu_) = 0;
  int stalled_ S3OVERLAY_GUARDED_BY(mu_) = 0;

  std::thread acceptor_;
};

// What a store says of objects whose key ends in `name` when they are archived and not restored.
std::vector<FaultRule> Archived(const std::string& name);

// An S3 error document as an answer, "503 Slow Down" with code "SlowDown" for instance.
HttpMessage S3ErrorAnswer(std::string_view status, std::string_view code);

}  // namespace s3overlay::testing
