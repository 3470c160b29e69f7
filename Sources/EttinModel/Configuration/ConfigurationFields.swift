import EttinFiles
package import EttinJSON

/// Reads typed values from a configuration object, collects what is wrong, and remembers which keys it used.
package struct ConfigurationFields {
    package let object: JSONObject
    package let file: String
    package private(set) var problems: [CheckpointError.Problem] = []
    private var used: Set<String> = []

    package init(_ object: JSONObject, file: String) {
        self.object = object
        self.file = file
    }

    /// Keys that nobody asked for, in order.
    package var unused: JSONObject {
        JSONObject(object.filter { !used.contains($0.key) }.map { ($0.key, $0.value) })
    }

    /// The value of a key; nil when it is absent.
    package mutating func value(_ key: String) -> JSONValue? {
        used.insert(key)
        return object[key]
    }

    /// Marks a key as understood, so that it is not kept.
    package mutating func drop(_ keys: String...) {
        used.formUnion(keys)
    }

    /// Puts a key back among those that are kept.
    package mutating func keep(_ key: String) {
        used.remove(key)
    }

    package mutating func refuse(
        _ key: String,
        _ found: String,
        expected: String? = nil,
        kind: CheckpointError.Kind = .malformed
    ) {
        problems.append(.init(kind, file: file, item: quoted(key), found: found, expected: expected))
    }

    // MARK: - Types

    package mutating func read(_ key: String, into target: inout Int) {
        guard let value = value(key) else { return }
        if let number = integer(key, value) { target = number }
    }

    /// An integer or null.
    package mutating func read(_ key: String, into target: inout Int?) {
        guard let value = value(key) else { return }
        if value.isNull { target = nil } else if let number = integer(key, value) { target = number }
    }

    package mutating func read(_ key: String, into target: inout Double) {
        guard let value = value(key) else { return }
        if let number = real(key, value) { target = number }
    }

    package mutating func read(_ key: String, into target: inout Bool) {
        guard let value = value(key) else { return }
        guard let flag = value.boolValue else {
            refuse(key, "is \(Self.shown(value))", expected: "true or false")
            return
        }
        target = flag
    }

    /// A string or null.
    package mutating func read(_ key: String, into target: inout String?) {
        guard let value = value(key) else { return }
        if value.isNull {
            target = nil
        } else if let text = value.stringValue {
            target = text
        } else {
            refuse(key, "is \(Self.shown(value))", expected: "a string")
        }
    }

    /// One of a list of names; `named` finds it.
    package mutating func read<Name: RawRepresentable & CaseIterable>(
        _ key: String,
        into target: inout Name,
        of names: [Name] = Array(Name.allCases),
        named: (String) -> Name?
    ) where Name.RawValue == String {
        guard let value = value(key) else { return }
        guard let text = value.stringValue, let name = named(text) else {
            let known = names.map { quoted($0.rawValue) }.joined(separator: ", ")
            refuse(key, "is \(Self.shown(value))", expected: known, kind: .unsupported)
            return
        }
        target = name
    }

    package mutating func integer(_ key: String, _ value: JSONValue) -> Int? {
        guard let number = value.intValue else {
            refuse(key, "is \(Self.shown(value))", expected: "an integer")
            return nil
        }
        return number
    }

    package mutating func real(_ key: String, _ value: JSONValue) -> Double? {
        guard let number = value.doubleValue, number.isFinite else {
            refuse(key, "is \(Self.shown(value))", expected: "a finite number")
            return nil
        }
        return number
    }

    /// A value as a message shows it.
    package static func shown(_ value: JSONValue) -> String {
        switch value {
        case .null: "null"
        case .bool(let flag): flag ? "true" : "false"
        case .number(let number): number.spelling.count > 40 ? "a very long number" : number.spelling
        case .string(let text): quoted(text, limit: 60)
        case .array(let items): "an array of \(items.count)"
        case .object(let object): "an object of \(object.count)"
        }
    }
}
