import EttinJSON
import Foundation

/// The body of a commit: one JSON document per line, made while it is sent, one file in memory at a time.
struct CommitLines: Sendable {
    let plan: UploadPlan
    let title: String
    let details: String

    func makeIterator() -> Iterator { Iterator(lines: self) }

    struct Iterator: Sendable {
        private let lines: CommitLines
        private var rest: ArraySlice<UploadPlan.File>
        private var hasHeader = false

        init(lines: CommitLines) {
            self.lines = lines
            rest = (lines.plan.files(.regular) + lines.plan.files(.large))[...]
        }

        /// The next line; nil behind the last.
        mutating func next() throws -> [UInt8]? {
            guard hasHeader else {
                hasHeader = true
                return line("header", ["summary": .init(lines.title), "description": .init(lines.details)])
            }
            guard let file = rest.popFirst() else { return nil }
            guard file.mode == .large else {
                let content = try file.content()
                return line(
                    "file",
                    ["content": .init(base64(content)), "path": .init(file.path), "encoding": "base64"]
                )
            }
            return line(
                "lfsFile",
                [
                    "path": .init(file.path), "algo": "sha256", "oid": .init(file.contentID ?? ""),
                    "size": .init(file.sizeBytes),
                ]
            )
        }

        private func line(_ key: String, _ value: JSONValue) -> [UInt8] {
            let document: JSONValue = ["key": .init(key), "value": value]
            return document.serialized() + [UInt8(ascii: "\n")]
        }
    }
}

func base64(_ bytes: [UInt8]) -> String {
    Data(bytes).base64EncodedString()
}
