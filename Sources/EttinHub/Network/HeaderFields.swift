/// The header of a request or an answer, in its order; names are compared without regard to case.
package struct HeaderFields: Sendable, ExpressibleByDictionaryLiteral {
    package private(set) var fields: [(name: String, value: String)]

    package init(_ fields: [(String, String)] = []) {
        self.fields = fields.map { (name: $0.0, value: $0.1) }
    }

    package init(dictionaryLiteral elements: (String, String)...) {
        self.init(elements)
    }

    /// The values of all fields of a name.
    package subscript(name: String) -> [String] {
        fields.filter { Self.isSame($0.name, name) }.map(\.value)
    }

    package func first(name: String) -> String? {
        fields.first { Self.isSame($0.name, name) }?.value
    }

    package func contains(name: String) -> Bool {
        first(name: name) != nil
    }

    package mutating func add(name: String, value: String) {
        fields.append((name, value))
    }

    package mutating func replaceOrAdd(name: String, value: String) {
        fields.removeAll { Self.isSame($0.name, name) }
        add(name: name, value: value)
    }

    /// Whether a field can be sent as it is: a line break in it would begin another one.
    static func isValid(name: String, value: String) -> Bool {
        let isName =
            !name.isEmpty
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
                }
            }
        return isName && value.utf8.allSatisfy { $0 == UInt8(ascii: "\t") || ($0 >= 0x20 && $0 != 0x7F) }
    }

    private static func isSame(_ one: String, _ other: String) -> Bool {
        func lower(_ byte: UInt8) -> UInt8 {
            byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
        }
        return one.utf8.count == other.utf8.count && zip(one.utf8, other.utf8).allSatisfy { lower($0) == lower($1) }
    }
}
