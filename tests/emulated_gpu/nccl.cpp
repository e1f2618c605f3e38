// NCCL's calls, through memory that the processes share. As with NCCL, whoever misses a rank waits for ever; here, until
// the process that began it has gone.
#include <nccl.h>

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <atomic>

#include "emulated/report.h"

namespace {

constexpr int kRanks = 8;
constexpr size_t kPiece = 1 << 20;  // bytes of each rank that are passed on at once

// What a rank is about to do, which must be what all do.
struct Call {
  char name[16];
  size_t count;
  int type, root;
};

// Zeros, as fresh shared memory is, are an empty one.
struct Meeting {
  std::atomic<int> arrived, round;
  Call calls[kRanks];
  int devices[kRanks];
  alignas(64) char pieces[kRanks][kPiece];
};

}  // namespace

struct EmulatedCommunicator {
  Meeting* meeting;
  int ranks, rank, device;
  pid_t parent;

  void wait() {
    const int round = meeting->round;
    if (++meeting->arrived == ranks) {
      meeting->arrived = 0;
      ++meeting->round;
      return;
    }
    while (meeting->round == round) {
      if (getppid() != parent) emulated::die("NCCL waits for a rank, and nobody waits for this one any more");
      usleep(50);
    }
  }

  // Waits for all; ends the process where they do not do the same.
  void agree(const char* name, size_t count, ncclDataType_t type, int root) {
    Call& mine = meeting->calls[rank];
    mine = {};
    snprintf(mine.name, sizeof mine.name, "%s", name);
    mine.count = count, mine.type = type, mine.root = root;
    wait();
    for (int each = 0; each < ranks; ++each) {
      const Call& other = meeting->calls[each];
      if (memcmp(&mine, &other, sizeof mine))
        emulated::die("rank %d calls %s of %zu values, another rank %s of %zu", rank, name, count, other.name,
                      other.count);
    }
    wait();
    emulated::trace("%s %zu of %d", name, count, ranks);
  }
};

namespace {

template <typename T>
void broadcast(ncclComm_t all, T* values, size_t count, int root) {
  const size_t most = kPiece / sizeof(T);
  T* piece = reinterpret_cast<T*>(all->meeting->pieces[root]);
  for (size_t at = 0; at < count; at += most) {
    const size_t size = std::min(most, count - at) * sizeof(T);
    if (all->rank == root) {
      emulated::Access access("ncclBcast");
      access.open(values + at, size);
      memcpy(piece, values + at, size);
    }
    all->wait();
    if (all->rank != root) {
      emulated::Access access("ncclBcast");
      access.open(values + at, size);
      memcpy(values + at, piece, size);
    }
    all->wait();
  }
}

// Added in the order of the ranks, so that all have the same bits.
template <typename T>
void add_up(ncclComm_t all, const T* from, T* to, size_t count) {
  const size_t most = kPiece / sizeof(T);
  for (size_t at = 0; at < count; at += most) {
    const size_t number = std::min(most, count - at);
    {
      emulated::Access access("ncclAllReduce");
      access.values(from + at, number);
      memcpy(all->meeting->pieces[all->rank], from + at, number * sizeof(T));
    }
    all->wait();
    {
      emulated::Access access("ncclAllReduce");
      access.values(to + at, number);
      for (size_t i = 0; i < number; ++i) {
        T sum = 0;
        for (int rank = 0; rank < all->ranks; ++rank) sum += reinterpret_cast<T*>(all->meeting->pieces[rank])[i];
        to[at + i] = sum;
      }
    }
    all->wait();
  }
}

// Whether NCCL would take it.
bool sound(ncclComm_t all, ncclDataType_t type, cudaStream_t stream) {
  int device;
  return all && (type == ncclFloat || type == ncclDouble) && cudaGetDevice(&device) == cudaSuccess &&
         device == all->device && cudaStreamQuery(stream) == cudaSuccess;
}

}  // namespace

const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess:
      return "no error";
    case ncclSystemError:
      return "unhandled system error";
    case ncclInvalidArgument:
      return "invalid argument";
    default:
      return "invalid usage";
  }
}

// Eight random bytes, and zeros around them, as NCCL's ids have too.
ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  memset(id, 0, sizeof *id);
  return getrandom(id->internal + 80, 8, 0) == 8 ? ncclSuccess : ncclSystemError;
}

ncclResult_t ncclCommInitRank(ncclComm_t* communicator, int ranks, ncclUniqueId id, int rank) {
  if (ranks < 1 || ranks > kRanks || rank < 0 || rank >= ranks) return ncclInvalidArgument;
  char name[40];
  unsigned long long number;
  memcpy(&number, id.internal + 80, sizeof number);
  snprintf(name, sizeof name, "/lrcn-emulated-nccl-%016llx", number);
  const int file = shm_open(name, O_RDWR | O_CREAT, 0600);
  if (file < 0 || ftruncate(file, sizeof(Meeting))) return ncclSystemError;
  void* memory = mmap(nullptr, sizeof(Meeting), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (memory == MAP_FAILED) return ncclSystemError;
  ncclComm_t made = new EmulatedCommunicator{static_cast<Meeting*>(memory), ranks, rank, 0, getppid()};
  cudaGetDevice(&made->device);
  made->meeting->devices[rank] = made->device;
  made->wait();
  if (rank == 0) shm_unlink(name);  // all are there
  for (int other = 0; other < ranks; ++other)
    if (other != rank && made->meeting->devices[other] == made->device) return ncclInvalidUsage;
  *communicator = made;
  return ncclSuccess;
}

ncclResult_t ncclCommInitAll(ncclComm_t*, int, const int*) { return ncclInvalidUsage; }  // threads of one process

ncclResult_t ncclCommDestroy(ncclComm_t communicator) {
  if (!communicator) return ncclInvalidArgument;
  munmap(communicator->meeting, sizeof(Meeting));
  delete communicator;
  return ncclSuccess;
}

ncclResult_t ncclBcast(void* values, size_t count, ncclDataType_t type, int root, ncclComm_t communicator,
                       cudaStream_t stream) {
  if (!sound(communicator, type, stream) || root < 0 || root >= communicator->ranks) return ncclInvalidArgument;
  communicator->agree("ncclBcast", count, type, root);
  if (type == ncclFloat)
    broadcast(communicator, static_cast<float*>(values), count, root);
  else
    broadcast(communicator, static_cast<double*>(values), count, root);
  return ncclSuccess;
}

ncclResult_t ncclAllReduce(const void* from, void* to, size_t count, ncclDataType_t type, ncclRedOp_t operation,
                           ncclComm_t communicator, cudaStream_t stream) {
  if (!sound(communicator, type, stream) || operation != ncclSum) return ncclInvalidArgument;
  communicator->agree("ncclAllReduce", count, type, 0);
  if (type == ncclFloat)
    add_up(communicator, static_cast<const float*>(from), static_cast<float*>(to), count);
  else
    add_up(communicator, static_cast<const double*>(from), static_cast<double*>(to), count);
  return ncclSuccess;
}
