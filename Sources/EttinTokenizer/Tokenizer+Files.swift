import Dispatch
import Synchronization

extension Tokenizer {
    /// Encodes a text file of any size in bounded memory.
    ///
    /// The file is read in blocks, which are cut where a word ends and white space begins. No word and no added token
    /// reaches across such a place, so that the ids of all blocks together are those of the whole text. Special tokens
    /// are not added. Only byte-level BPE with its own split pattern can be cut so: for other tokenizers the file is one
    /// block.
    ///
    /// - Parameters:
    ///   - path: The file, `-` for standard input. Ill-formed UTF-8 is read as U+FFFD.
    ///   - blockBytes: About how much text to encode at once; lines of text without white space may need more.
    ///   - threads: How many blocks to encode at the same time.
    ///   - body: Takes the ids of each block in order.
    /// - Throws: `TokenizerError` when the file cannot be read, and what `body` throws.
    public func encodeFile(
        _ path: String,
        blockBytes: Int = 1 << 20,
        threads: Int = 1,
        body: ([Int32]) throws -> Void
    ) throws {
        let threads = max(1, threads)
        let seams = WordSeams(core)
        // Without the split pattern the whole text is one word, and other types may look farther.
        let canCut = core.pipeline == nil && file.splitting.splitsWords && seams != nil
        var blocks = try TextBlocks(path, blockBytes: canCut ? max(1, blockBytes) : .max, seams: seams)
        var isFirst = true
        while true {
            var texts: [[UInt8]] = []
            while texts.count < threads, let text = try blocks.next() { texts.append(text) }
            guard !texts.isEmpty else { return }
            for ids in encodeBlocks(texts, startsText: isFirst) { try body(ids) }
            isFirst = false
        }
    }

    /// Encodes consecutive blocks of one text, one thread per block.
    private func encodeBlocks(_ texts: [[UInt8]], startsText: Bool) -> [[Int32]] {
        let results = Mutex([[Int32]](repeating: [], count: texts.count))
        let encodeBlock: @Sendable (Int) -> Void = { index in
            workers.withWorker { worker in
                var splitting = file.splitting
                // A block that goes on with a text must not get a space of its own; it starts with white space.
                if !(startsText && index == 0) { splitting.prefixesFirstPiece = false }
                withUTF8(String(decoding: texts[index], as: UTF8.self)) {
                    worker.state.encode($0, offsets: false, splitting: splitting)
                }
                let ids = Array(worker.state.ids.buffer)
                results.withLock { $0[index] = ids }
            }
        }
        if texts.count == 1 {
            encodeBlock(0)
        } else {
            DispatchQueue.concurrentPerform(iterations: texts.count, execute: encodeBlock)
        }
        return results.withLock { $0 }
    }

}

/// Places at which a text can be cut without changing its tokens: behind an ASCII character that is not white space,
/// before one that is.
struct WordSeams {
    /// Last bytes of added tokens that swallow the white space behind them.
    private var forbiddenEnds = Set<UInt8>()
    /// Pairs of bytes inside added tokens.
    private var forbiddenPairs = Set<UInt16>()

    /// Finds out where added tokens could reach across; nil when there is no telling.
    init?(_ core: TokenizerCore) {
        for (token, id) in core.addedTokens {
            for bytes in [Array(token.content.utf8), core.text(of: Int(id)).map { Array($0.utf8) } ?? []] {
                guard let first = bytes.first, let last = bytes.last else { continue }
                // Whether it matches depends on the character before the cut.
                if token.isWholeWord, Self.isBlank(first) { return nil }
                if token.stripsRight { forbiddenEnds.insert(last) }
                for (left, right) in zip(bytes, bytes.dropFirst()) {
                    forbiddenPairs.insert(UInt16(left) << 8 | UInt16(right))
                }
            }
        }
    }

    func allowsCut(between left: UInt8, and right: UInt8) -> Bool {
        Self.isBlank(right) && !Self.isBlank(left) && left < 0x80 && !forbiddenEnds.contains(left)
            && !forbiddenPairs.contains(UInt16(left) << 8 | UInt16(right))
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (byte >= 0x09 && byte <= 0x0D) }
}

/// Cuts a file into blocks that can be tokenised apart, or into whole lines.
struct TextBlocks {
    private let input: InputFile
    private let blockBytes: Int
    private let seams: WordSeams?
    private var pending: [UInt8] = []
    private var atEnd = false

    /// Opens a file; without seams it is cut behind line feeds.
    init(_ path: String, blockBytes: Int, seams: WordSeams?) throws {
        input = try InputFile(path)
        self.blockBytes = blockBytes
        self.seams = seams
    }

    /// The next block; nil at the end.
    mutating func next() throws -> [UInt8]? {
        var searched = 0
        while true {
            if pending.count >= blockBytes, let cut = lastCut(from: searched) {
                let block = Array(pending[..<cut])
                pending.removeFirst(cut)
                return block
            }
            searched = pending.count
            if !atEnd {
                atEnd = try input.read(into: &pending, upTo: min(max(4096, blockBytes), 4 << 20)) == 0
                continue
            }
            guard !pending.isEmpty else { return nil }
            defer { pending = [] }
            return pending
        }
    }

    /// The last place in the pending bytes where a block may end.
    private func lastCut(from start: Int) -> Int? {
        var position = pending.count - 1
        while position > max(0, start - 1) {
            let isCut =
                seams?.allowsCut(between: pending[position - 1], and: pending[position])
                ?? (pending[position - 1] == UInt8(ascii: "\n"))
            if isCut { return position }
            position -= 1
        }
        return nil
    }
}
