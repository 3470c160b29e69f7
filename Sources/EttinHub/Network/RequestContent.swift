import EttinFiles

/// What a request carries, opened: read in pieces while it is sent, by the network's thread alone.
struct RequestContent: Sendable {
    private enum Source: Sendable {
        case bytes([UInt8])
        case file(OpenFile, Range<Int>, onSent: @Sendable (Int) -> Void)
        case lines(CommitLines)
    }

    /// The size in bytes; nil when only the end tells.
    let size: Int?
    private let source: Source
    private var position = 0
    /// Of lines: those to come, and the rest of the current one.
    private var lines: CommitLines.Iterator?
    private var line: ArraySlice<UInt8> = []
    private var reported = 0

    /// Opens what a request carries; nil when it has no body.
    init?(_ body: HubRequest.Body) throws {
        switch body {
        case .none: return nil
        case .bytes(let bytes):
            source = .bytes(bytes)
            size = bytes.count
        case .file(let path, let range, let onSent):
            source = .file(try HubError.translating { try OpenFile(path, .read) }, range, onSent: onSent)
            size = range.count
        case .lines(let lines):
            source = .lines(lines)
            self.lines = lines.makeIterator()
            size = nil
        }
    }

    /// Begins anew, for a connection that was lost before the server had anything.
    mutating func rewind() {
        position = 0
        reported = 0
        line = []
        if case .lines(let lines) = source { self.lines = lines.makeIterator() }
    }

    /// The next bytes, at most as many as `count`; none at the end.
    mutating func next(_ count: Int) throws -> ArraySlice<UInt8> {
        switch source {
        case .bytes(let bytes):
            let part = bytes[position..<min(position + count, bytes.count)]
            position = part.endIndex
            return part
        case .file(let file, let range, let onSent):
            let start = range.lowerBound + position
            let wanted = min(count, range.upperBound - start)
            guard wanted > 0 else { return [] }
            let bytes = try HubError.translating { try file.read(at: start, count: wanted) }
            guard !bytes.isEmpty else {
                throw HubError.file(path: file.path, reason: "it became shorter while it was uploaded")
            }
            position += bytes.count
            if position - reported >= 1 << 20 || position == range.count {
                reported = position
                onSent(range.lowerBound + position)
            }
            return bytes[...]
        case .lines:
            while line.isEmpty {
                guard let next = try lines?.next() else { return [] }
                line = next[...]
            }
            let part = line.prefix(count)
            line = line.dropFirst(count)
            return part
        }
    }
}
