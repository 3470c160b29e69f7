import Dispatch
import Synchronization

extension Tokenizer {
    /// Encodes a text file of any size in bounded memory.
    ///
    /// The file is read in blocks, which are cut where a word ends and white space begins. No word, and no added token
    /// of the usual kind, reaches across such a place, so that the ids of all blocks together are those of the whole
    /// text. A tokenizer with added tokens that hold a letter before a space, or that swallow white space behind them,
    /// is cut at line ends instead, and then may tokenise the seams differently. Special tokens are not added.
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
        // Without the split pattern the whole text is one word.
        let blockLimit = file.splitting.splitsWords ? max(1, blockBytes) : Int.max
        var blocks = try TextBlocks(path, blockBytes: blockLimit, cutsAtLines: needsLineCuts)
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

    private var needsLineCuts: Bool {
        core.addedTokens.contains { entry in
            if entry.token.stripsRight { return true }
            let bytes = Array(entry.token.content.utf8)
            return zip(bytes, bytes.dropFirst()).contains {
                !TextBlocks.isBlank($0) && (TextBlocks.isBlank($1) || $1 >= 0x80)
            }
        }
    }
}

/// Cuts a file into blocks that can be tokenised apart.
struct TextBlocks {
    private let input: InputFile
    private let blockBytes: Int
    private let cutsAtLines: Bool
    private var pending: [UInt8] = []
    private var atEnd = false

    init(_ path: String, blockBytes: Int, cutsAtLines: Bool) throws {
        input = try InputFile(path)
        self.blockBytes = blockBytes
        self.cutsAtLines = cutsAtLines
    }

    static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (byte >= 0x09 && byte <= 0x0D) }

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
                cutsAtLines
                ? pending[position - 1] == 0x0A
                : Self.isBlank(pending[position]) && !Self.isBlank(pending[position - 1])
                    && pending[position - 1] < 0x80
            if isCut { return position }
            position -= 1
        }
        return nil
    }
}
