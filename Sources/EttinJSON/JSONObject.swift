/// The members of a JSON object in the order they were written.
///
/// Keys are compared by their UTF-8 bytes. Swift's `String` compares by canonical equivalence, under which `"é"` in one
/// and in two code points are the same key; a vocabulary holds both. Two objects are equal when they have the same
/// members in any order.
public struct JSONObject: Sendable {
    /// One key with its value.
    public struct Member: Sendable {
        /// The key.
        public let key: String
        /// The value.
        public var value: JSONValue

        /// Creates a member.
        ///
        /// - Parameters:
        ///   - key: The key.
        ///   - value: The value.
        public init(key: String, value: JSONValue) {
            self.key = key
            self.value = value
        }
    }

    /// Below this many members a linear search is faster than hashing the key.
    private static let indexThreshold = 12

    /// The members in file order; no two keys have the same bytes.
    public private(set) var members: [Member] = []
    /// Position of each key in `members`; empty while there are few members.
    private var positions: [ByteKey: Int] = [:]

    /// Creates an object without members.
    public init() {}

    /// Creates an object from members; a key that occurs again replaces the earlier value.
    ///
    /// - Parameter members: Keys and values in order.
    public init(_ members: some Sequence<(String, JSONValue)>) {
        for (key, value) in members { self[key] = value }
    }

    /// The number of members.
    public var count: Int { members.count }

    /// Whether there are no members.
    public var isEmpty: Bool { members.isEmpty }

    /// The keys in order.
    public var keys: [String] { members.map(\.key) }

    /// The value of a key; setting nil removes the member, setting a new key appends it.
    ///
    /// - Parameter key: The key, compared by UTF-8 bytes.
    /// - Complexity: O(1) on average to read or replace, O(`count`) to remove.
    public subscript(key: String) -> JSONValue? {
        get {
            guard let position = position(of: key) else { return nil }
            return members[position].value
        }
        set {
            switch (position(of: key), newValue) {
            case (let position?, let value?): members[position].value = value
            case (let position?, nil):
                members.remove(at: position)
                positions = [:]
                buildIndexIfLarge()
            case (nil, let value?): appendNew(key, value)
            case (nil, nil): break
            }
        }
    }

    /// Appends a member unless its key exists.
    ///
    /// - Returns: Whether the member was appended.
    mutating func appendIfAbsent(_ key: String, _ value: JSONValue) -> Bool {
        guard position(of: key) == nil else { return false }
        appendNew(key, value)
        return true
    }

    private mutating func appendNew(_ key: String, _ value: JSONValue) {
        members.append(Member(key: key, value: value))
        if positions.isEmpty {
            buildIndexIfLarge()
        } else {
            positions[ByteKey(string: key)] = members.count - 1
        }
    }

    private mutating func buildIndexIfLarge() {
        guard members.count > Self.indexThreshold else { return }
        for (position, member) in members.enumerated() { positions[ByteKey(string: member.key)] = position }
    }

    private func position(of key: String) -> Int? {
        if positions.isEmpty {
            return members.firstIndex { sameBytes($0.key, key) }
        }
        return positions[ByteKey(string: key)]
    }
}

extension JSONObject: Hashable {
    /// Compares members by key and value, ignoring their order.
    public static func == (left: JSONObject, right: JSONObject) -> Bool {
        left.count == right.count && left.members.allSatisfy { right[$0.key] == $0.value }
    }

    /// Feeds the members to a hasher, independent of their order.
    public func hash(into hasher: inout Hasher) {
        var sum = 0
        for member in members {
            var memberHasher = Hasher()
            memberHasher.combine(ByteKey(string: member.key))
            memberHasher.combine(member.value)
            sum &+= memberHasher.finalize()
        }
        hasher.combine(sum)
    }
}

extension JSONObject: RandomAccessCollection {
    /// The position of the first member.
    public var startIndex: Int { 0 }
    /// The position after the last member.
    public var endIndex: Int { members.count }

    /// The member at a position.
    public subscript(position: Int) -> Member { members[position] }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    /// Creates an object from a literal; a key that occurs again replaces the earlier value.
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        self.init(elements)
    }
}

/// A string as a dictionary key compared by bytes.
struct ByteKey: Hashable, Sendable {
    let string: String

    static func == (left: ByteKey, right: ByteKey) -> Bool { sameBytes(left.string, right.string) }

    func hash(into hasher: inout Hasher) {
        let isContiguous: Void? = string.utf8.withContiguousStorageIfAvailable {
            hasher.combine(bytes: UnsafeRawBufferPointer($0))
        }
        if isContiguous == nil {
            for byte in string.utf8 { hasher.combine(byte) }
        }
    }
}

/// Whether two strings have the same UTF-8 bytes; `==` would accept canonically equivalent ones.
func sameBytes(_ left: String, _ right: String) -> Bool {
    left.utf8.count == right.utf8.count && left.utf8.elementsEqual(right.utf8)
}
