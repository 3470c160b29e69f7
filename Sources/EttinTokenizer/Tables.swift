#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Memory that is filled once and then only read, so that any number of threads may share it.
///
/// Hot loops read through `pointer`, which costs neither reference counting nor bounds checks. `@unchecked Sendable`:
/// the memory is written only before the instance exists.
final class SharedTable<Element: BitwiseCopyable>: @unchecked Sendable {
    let pointer: UnsafePointer<Element>
    let count: Int

    fileprivate init(adopting pointer: UnsafePointer<Element>, count: Int) {
        self.pointer = pointer
        self.count = count
    }

    /// Copies the elements of an array.
    convenience init(_ elements: [Element]) {
        let memory = MutableTable<Element>(capacity: elements.count)
        elements.withUnsafeBufferPointer { source in
            if let base = source.baseAddress { memory.pointer.update(from: base, count: source.count) }
        }
        let frozen = memory.release()
        self.init(adopting: frozen, count: elements.count)
    }

    deinit {
        free(UnsafeMutableRawPointer(mutating: pointer))
    }

    subscript(position: Int) -> Element {
        assert(position >= 0 && position < count)
        return pointer[position]
    }

    var buffer: UnsafeBufferPointer<Element> { UnsafeBufferPointer(start: pointer, count: count) }
}

/// Zeroed memory under construction; `frozen()` makes it shareable.
struct MutableTable<Element: BitwiseCopyable>: ~Copyable {
    let pointer: UnsafeMutablePointer<Element>
    let count: Int

    /// Memory of zero bytes, which the system hands out without touching it.
    init(capacity: Int) {
        guard let memory = calloc(max(1, capacity), MemoryLayout<Element>.stride) else {
            // Nothing above could go on without this memory, as with any Swift allocation.
            preconditionFailure("out of memory")
        }
        pointer = memory.bindMemory(to: Element.self, capacity: max(1, capacity))
        count = capacity
    }

    init(repeating element: Element, count: Int) where Element: FixedWidthInteger {
        self.init(capacity: count)
        if element != 0 {
            for position in 0..<count { pointer[position] = element }
        }
    }

    deinit {
        free(pointer)
    }

    subscript(position: Int) -> Element {
        get { pointer[position] }
        nonmutating set {
            assert(position >= 0 && position < count)
            pointer[position] = newValue
        }
    }

    consuming func release() -> UnsafePointer<Element> {
        let pointer = pointer
        discard self
        return UnsafePointer(pointer)
    }

    consuming func frozen() -> SharedTable<Element> {
        let count = count
        return SharedTable(adopting: release(), count: count)
    }
}

/// A growable list of plain values without reference counting or bounds checks, owned by one worker.
struct Scratch<Element: BitwiseCopyable>: ~Copyable {
    private(set) var pointer: UnsafeMutablePointer<Element>
    private(set) var capacity: Int
    var count = 0

    init(capacity: Int = 256) {
        self.capacity = max(1, capacity)
        pointer = .allocate(capacity: self.capacity)
    }

    deinit {
        pointer.deallocate()
    }

    subscript(position: Int) -> Element {
        get {
            assert(position >= 0 && position < count)
            return pointer[position]
        }
        nonmutating set {
            assert(position >= 0 && position < count)
            pointer[position] = newValue
        }
    }

    @inline(__always)
    mutating func append(_ element: Element) {
        if count == capacity { reserve(1) }
        pointer[count] = element
        count += 1
    }

    mutating func append(from source: UnsafePointer<Element>, count added: Int) {
        reserve(added)
        (pointer + count).update(from: source, count: added)
        count += added
    }

    /// Makes room for more elements behind the present ones.
    mutating func reserve(_ additional: Int) {
        guard capacity - count < additional else { return }
        let grownCapacity = max(capacity * 2, count + additional)
        let grown = UnsafeMutablePointer<Element>.allocate(capacity: grownCapacity)
        grown.update(from: pointer, count: count)
        pointer.deallocate()
        pointer = grown
        capacity = grownCapacity
    }

    /// Forgets the elements, and gives memory back when one huge input made it grow.
    mutating func removeAll() {
        count = 0
        guard capacity * MemoryLayout<Element>.stride > 16 << 20 else { return }
        pointer.deallocate()
        capacity = 256
        pointer = .allocate(capacity: capacity)
    }

    var buffer: UnsafeBufferPointer<Element> { UnsafeBufferPointer(start: pointer, count: count) }
}

/// Hashes bytes; fast on the short strings that tokens are.
@inline(__always)
func hashBytes(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> UInt64 {
    var hash = UInt64(truncatingIfNeeded: count) &* 0x9E37_79B9_7F4A_7C15
    var position = 0
    while position + 8 <= count {
        let word = UnsafeRawPointer(bytes + position).loadUnaligned(as: UInt64.self)
        hash = (hash ^ word) &* 0xFF51_AFD7_ED55_8CCD
        hash ^= hash &>> 32
        position += 8
    }
    var tail: UInt64 = 0
    while position < count {
        tail = tail &<< 8 | UInt64(bytes[position])
        position += 1
    }
    hash = (hash ^ tail) &* 0xC4CE_B9FE_1A85_EC53
    return hash ^ (hash &>> 29)
}
