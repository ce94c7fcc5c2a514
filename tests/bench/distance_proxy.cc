// SPDX-License-Identifier: Apache-2.0
//
// A distance between a client and a store on one machine: every byte of the store is delivered DELAY after it arrived,
// at no more than RATE a connection. What the client sends passes at once, so DELAY is a round trip; connecting is
// free.
//
// Usage: distance_proxy STORE_PORT DELAY_MS BYTES_PER_SECOND     (a rate of 0 is none)
// Prints {"port": N}; after that one line of statistics for each line on standard input, counted since the last one.
// Ends with its standard input. Linux only: epoll(7).
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;

constexpr size_t kChunk = 64 << 10;
constexpr uint64_t kMostHeld = 6 << 20;  // For one connection; far above rate times delay.

[[noreturn]] void Fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

struct Distance {
  Clock::duration delay{};
  double seconds_a_byte = 0;
};

struct Statistics {
  uint64_t bytes = 0;        // From the store.
  uint64_t connections = 0;  // Opened.
  uint64_t peak = 0;         // Open at a time.
};

enum class Outcome { kSome, kNotNow, kEnded };

Outcome OutcomeOf(ssize_t transferred) {
  if (transferred > 0) return Outcome::kSome;
  return transferred < 0 && errno == EAGAIN ? Outcome::kNotNow : Outcome::kEnded;
}

// Bytes on their way, and when the last of them is through.
struct Chunk {
  std::unique_ptr<char[]> bytes = std::make_unique_for_overwrite<char[]>(kChunk);
  size_t begin = 0;
  size_t end = 0;
  Time due{};

  Outcome Receive(int fd) {
    const ssize_t got = ::recv(fd, bytes.get(), kChunk, 0);
    begin = 0;
    end = got > 0 ? static_cast<size_t>(got) : 0;
    return OutcomeOf(got);
  }
  Outcome Send(int fd) {
    const ssize_t sent = ::send(fd, bytes.get() + begin, end - begin, MSG_NOSIGNAL);
    if (sent > 0) begin += static_cast<size_t>(sent);
    return OutcomeOf(sent);
  }
  bool is_empty() const { return begin == end; }
};

// Chunks are used again at once, while the processor still has them near.
class ChunkPool {
 public:
  Chunk Take() {
    if (free_.empty()) return {};
    Chunk chunk = std::move(free_.back());
    free_.pop_back();
    return chunk;
  }
  void GiveBack(Chunk chunk) { free_.push_back(std::move(chunk)); }

 private:
  std::vector<Chunk> free_;
};

// One direction with nothing held back.
class Through {
 public:
  // False when an end is gone.
  bool Pump(int from, int to) {
    for (;;) {
      if (chunk_.is_empty()) {
        const Outcome received = chunk_.Receive(from);
        if (received != Outcome::kSome) return received == Outcome::kNotNow;
      }
      const Outcome sent = chunk_.Send(to);
      if (sent != Outcome::kSome) return sent == Outcome::kNotNow;
    }
  }

 private:
  Chunk chunk_;
};

// The other direction: each chunk leaves when it is due.
class Delayed {
 public:
  Delayed(const Distance& distance, ChunkPool& pool) : distance_(distance), pool_(pool) {}

  // Takes in what has arrived; answers how much.
  uint64_t TakeIn(int from, Time now) {
    uint64_t taken = 0;
    while (!ended_ && held_ < kMostHeld) {
      Chunk chunk = pool_.Take();
      const Outcome received = chunk.Receive(from);
      if (received != Outcome::kSome) {
        ended_ = received == Outcome::kEnded;
        pool_.GiveBack(std::move(chunk));
        break;
      }
      taken += chunk.end;
      Queue(std::move(chunk), now);
    }
    return taken;
  }

  // Delivers what is due; false when the client is gone or all of an ended stream is delivered.
  bool Deliver(int to, Time now) {
    stalled_ = false;
    while (!queue_.empty() && queue_.front().due <= now) {
      Chunk& chunk = queue_.front();
      const size_t before = chunk.begin;
      const Outcome sent = chunk.Send(to);
      stalled_ = sent == Outcome::kNotNow;
      if (sent != Outcome::kSome) return stalled_;
      held_ -= chunk.begin - before;
      if (!chunk.is_empty()) continue;
      pool_.GiveBack(std::move(chunk));
      queue_.pop_front();
    }
    return !ended_ || !queue_.empty();
  }

  // When there is something to do without an event of a socket.
  Time due() const { return queue_.empty() || stalled_ ? Time::max() : queue_.front().due; }

 private:
  void Queue(Chunk chunk, Time now) {
    const auto passing = std::chrono::duration<double>(static_cast<double>(chunk.end) * distance_.seconds_a_byte);
    last_due_ = std::max(now + distance_.delay, last_due_) + std::chrono::duration_cast<Clock::duration>(passing);
    chunk.due = last_due_;
    held_ += chunk.end;
    queue_.push_back(std::move(chunk));
  }

  const Distance& distance_;
  ChunkPool& pool_;
  std::deque<Chunk> queue_;
  uint64_t held_ = 0;
  Time last_due_{};
  bool ended_ = false;
  bool stalled_ = false;  // The client takes nothing at the moment.
};

struct Link {
  Link(Descriptor client_socket, Descriptor store_socket, const Distance& distance, ChunkPool& pool)
      : client(std::move(client_socket)), store(std::move(store_socket)), down(distance, pool) {}

  Descriptor client;
  Descriptor store;
  Through up;
  Delayed down;
};

class Proxy {
 public:
  Proxy(uint16_t store_port, Distance distance)
      : store_port_(store_port), distance_(distance), listener_(Listen()), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    Watch(listener_.get(), EPOLLIN);
    Watch(STDIN_FILENO, EPOLLIN);
  }

  void Run() {
    std::printf("{\"port\": %u}\n", Port());
    std::fflush(stdout);
    while (!ended_) Turn();
  }

 private:
  static Descriptor Listen() {
    Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const sockaddr_in address = Loopback(0);
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) Fail("bind");
    if (::listen(socket.get(), 1024) != 0) Fail("listen");
    return socket;
  }

  static sockaddr_in Loopback(uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
  }

  unsigned Port() const {
    sockaddr_in address{};
    socklen_t length = sizeof(address);
    if (::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) Fail("getsockname");
    return ntohs(address.sin_port);
  }

  void Watch(int fd, uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) Fail("epoll_ctl");
  }

  void Turn() {
    epoll_event events[64];
    const timespec timeout = TimeToNextDue();
    const int count = ::epoll_pwait2(epoll_.get(), events, 64, &timeout, nullptr);
    for (int i = 0; i < count; ++i) {
      const int fd = events[i].data.fd;
      if (fd == listener_.get()) {
        AcceptAll();
      } else if (fd == STDIN_FILENO) {
        AnswerStatistics();
      } else if (const auto found = links_.find(fd); found != links_.end()) {
        Pump(found->second);
      }
    }
    PumpDue();
  }

  timespec TimeToNextDue() const {
    Time first = Clock::now() + std::chrono::seconds(1);
    for (const auto& [fd, link] : links_) first = std::min(first, link->down.due());
    const auto wait = std::max(first - Clock::now(), Clock::duration::zero());
    const auto nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(wait).count();
    return {nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000};
  }

  void PumpDue() {
    const Time now = Clock::now();
    std::deque<std::shared_ptr<Link>> due;
    for (const auto& [fd, link] : links_) {
      if (fd == link->client.get() && link->down.due() <= now) due.push_back(link);
    }
    for (const auto& link : due) Pump(link);
  }

  void Pump(std::shared_ptr<Link> link) {
    const bool is_up = link->up.Pump(link->client.get(), link->store.get());
    const Time now = Clock::now();
    const bool was_delivered = link->down.Deliver(link->client.get(), now);
    statistics_.bytes += link->down.TakeIn(link->store.get(), now);
    if (is_up && was_delivered) return;
    links_.erase(link->client.get());
    links_.erase(link->store.get());
  }

  void AcceptAll() {
    for (;;) {
      Descriptor client(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (client.get() < 0) return;
      Descriptor store(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const sockaddr_in address = Loopback(store_port_);
      if (::connect(store.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) continue;
      ::fcntl(store.get(), F_SETFL, O_NONBLOCK);
      AddLink(std::move(client), std::move(store));
    }
  }

  void AddLink(Descriptor client, Descriptor store) {
    const int fds[] = {client.get(), store.get()};
    const auto link = std::make_shared<Link>(std::move(client), std::move(store), distance_, pool_);
    for (const int fd : fds) {
      const int on = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
      links_.emplace(fd, link);
      Watch(fd, EPOLLIN | EPOLLOUT | EPOLLET);
    }
    ++statistics_.connections;
    statistics_.peak = std::max<uint64_t>(statistics_.peak, links_.size() / 2);
  }

  void AnswerStatistics() {
    char line[64];
    if (::read(STDIN_FILENO, line, sizeof(line)) <= 0) {
      ended_ = true;
      return;
    }
    std::printf("{\"bytes\": %" PRIu64 ", \"connections\": %" PRIu64 ", \"peak\": %" PRIu64 "}\n", statistics_.bytes,
                statistics_.connections, statistics_.peak);
    std::fflush(stdout);
    statistics_ = {0, 0, links_.size() / 2};
  }

  const uint16_t store_port_;
  const Distance distance_;
  const Descriptor listener_;
  const Descriptor epoll_;
  ChunkPool pool_;
  std::unordered_map<int, std::shared_ptr<Link>> links_;  // By either socket.
  Statistics statistics_;
  bool ended_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: distance_proxy STORE_PORT DELAY_MS BYTES_PER_SECOND\n");
    return 2;
  }
  const double rate = std::strtod(argv[3], nullptr);
  const std::chrono::duration<double, std::milli> delay(std::strtod(argv[2], nullptr));
  Proxy proxy(static_cast<uint16_t>(std::strtoul(argv[1], nullptr, 10)),
              {std::chrono::duration_cast<Clock::duration>(delay), rate > 0 ? 1 / rate : 0});
  proxy.Run();
  return 0;
}
