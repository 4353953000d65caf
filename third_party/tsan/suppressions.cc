// What ThreadSanitizer (--config=tsan) does not report, each line with its reason. Code of ours belongs in no line.

extern "C" const char* __tsan_default_suppressions() {
  return
      // RocksDB is Debian's and not instrumented. Its pthread mutexes are seen, the orderings of its atomics are not,
      // so its calls of memcmp, memcpy, delete and the like would be taken for races. This also hides what RocksDB's
      // own threads do in the file systems that we give to it.
      "race:^rocksdb::\n"
      "race:^non-virtual thunk to rocksdb::\n"
      // Its sets of file names, whose callers the unwinder does not find. Storage code uses Abseil's.
      "race:^std::_Hashtable<\n"
      // Abseil ignores synchronization while it waits for a mutex, yet mmap, with which a thread that waits for the
      // first time gets its identity there, counts as a write.
      "race:NewThreadIdentity\n";
}
