import EttinJSON
import EttinTokenizer
import Foundation
import TestSupport
import Testing

extension Tag {
    /// Values from the originals.
    @Tag static var golden: Self
}

extension SharedData {
    static func lines(_ path: String) throws -> [JSONValue] {
        let folder = try #require(folder)
        let text = try String(contentsOfFile: "\(folder)/\(path)", encoding: .utf8)
        return try text.split(separator: "\n").map { try JSONValue(parsing: String($0)) }
    }
}

/// The small tokenizer of the fixture, with its members replaced as asked for.
func smallTokenizer(
    replacing members: [String: JSONValue] = [:],
    model: [String: JSONValue] = [:],
    configuration: JSONValue? = nil
) throws -> Tokenizer {
    try Tokenizer(
        tokenizerJSON: smallTokenizerJSON(replacing: members, model: model),
        tokenizerConfig: configuration?.serialized()
    )
}

func smallTokenizerJSON(
    replacing members: [String: JSONValue] = [:],
    model: [String: JSONValue] = [:]
) throws -> [UInt8] {
    var file = try #require(try JSONValue(parsing: SmallTokenizerFixture.tokenizerJSON).objectValue)
    for (key, value) in members { file[key] = value }
    var modelObject = try #require(file["model"]?.objectValue)
    for (key, value) in model { modelObject[key] = value }
    file["model"] = .object(modelObject)
    return JSONValue.object(file).serialized()
}

extension JSONValue {
    /// A list of numbers.
    var integers: [Int32] { arrayValue?.compactMap { $0.intValue.map(Int32.init) } ?? [] }

    /// A list of [start, end] pairs.
    var ranges: [Range<Int>] {
        arrayValue?.compactMap { pair in
            guard let start = pair[0]?.intValue, let end = pair[1]?.intValue else { return nil }
            return start..<end
        } ?? []
    }
}

/// Whether two texts have the same bytes; `==` on strings would accept canonically equivalent ones.
func sameBytes(_ left: String?, _ right: String?) -> Bool {
    guard let left, let right else { return left == nil && right == nil }
    return left.utf8.elementsEqual(right.utf8)
}

/// A new folder that is removed when the body has run.
func withTemporaryFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
    let folder = try TemporaryFolder()
    return try withExtendedLifetime(folder) { try body(folder.path) }
}

func bytes(_ path: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: URL(filePath: path)))
}
