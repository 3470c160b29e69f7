import EttinJSON
import Foundation
import NIOCore

/// The body of a commit: one JSON document per line, made while it is sent, one file in memory at a time.
struct CommitLines: AsyncSequence, Sendable {
    typealias Element = ByteBuffer

    let plan: UploadPlan
    let title: String
    let details: String

    func makeAsyncIterator() -> Iterator { Iterator(lines: self) }

    struct Iterator: AsyncIteratorProtocol {
        private let lines: CommitLines
        private var rest: ArraySlice<UploadPlan.File>
        private var hasHeader = false

        init(lines: CommitLines) {
            self.lines = lines
            rest = (lines.plan.files(.regular) + lines.plan.files(.large))[...]
        }

        mutating func next() async throws -> ByteBuffer? {
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

        private func line(_ key: String, _ value: JSONValue) -> ByteBuffer {
            let document: JSONValue = ["key": .init(key), "value": value]
            return ByteBuffer(bytes: document.serialized() + [UInt8(ascii: "\n")])
        }
    }
}

func base64(_ bytes: [UInt8]) -> String {
    Data(bytes).base64EncodedString()
}
