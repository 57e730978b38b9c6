;; The least a WASI command can be: a memory, and a start function that returns at once. It imports nothing,
;; so running it costs what the host itself needs to start and end a guest.
(module
  (memory (export "memory") 1)
  (func (export "_start")))
