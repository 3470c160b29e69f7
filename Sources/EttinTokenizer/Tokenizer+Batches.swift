import Dispatch
import Synchronization

extension Tokenizer {
    /// Encodes many texts on several threads; each result is that of `encode`.
    ///
    /// - Parameters:
    ///   - texts: The texts.
    ///   - addSpecialTokens: Whether to add the special tokens of `specialTokenRule`.
    ///   - threads: The largest number of threads to use.
    /// - Returns: One encoding per text, in order.
    public func encodeBatch(_ texts: [String], addSpecialTokens: Bool = true, threads: Int = 1) -> [Encoding] {
        mapInParallel(texts.count, threads: threads) { worker, index in
            assemble(withUTF8(texts[index]) { part(worker, $0) }, nil, addSpecialTokens: addSpecialTokens)
        }
    }

    /// Encodes many pairs of texts on several threads; each result is that of `encode`.
    ///
    /// - Parameters:
    ///   - pairs: The pairs.
    ///   - addSpecialTokens: Whether to add the special tokens of `specialTokenRule`.
    ///   - threads: The largest number of threads to use.
    /// - Returns: One encoding per pair, in order.
    public func encodeBatch(
        pairs: [(text: String, pair: String)],
        addSpecialTokens: Bool = true,
        threads: Int = 1
    ) -> [Encoding] {
        mapInParallel(pairs.count, threads: threads) { worker, index in
            let first = withUTF8(pairs[index].text) { part(worker, $0) }
            let second = withUTF8(pairs[index].pair) { part(worker, $0) }
            return assemble(first, second, addSpecialTokens: addSpecialTokens)
        }
    }

    /// Encodes many texts to ids only on several threads; each result is that of `encodeIDs`.
    ///
    /// - Parameters:
    ///   - texts: The texts.
    ///   - addSpecialTokens: Whether to add the special tokens of `specialTokenRule`.
    ///   - threads: The largest number of threads to use.
    /// - Returns: The ids of each text, in order.
    public func encodeIDsBatch(_ texts: [String], addSpecialTokens: Bool = true, threads: Int = 1) -> [[Int32]] {
        mapInParallel(texts.count, threads: threads) { worker, index in
            encodeIDs(worker, texts[index], nil, addSpecialTokens: addSpecialTokens)
        }
    }

    /// Computes results by index; threads take small runs of indices so that long texts do not hold up the rest.
    private func mapInParallel<Element: Sendable>(
        _ count: Int,
        threads: Int,
        _ body: @Sendable (EncodingWorker, Int) -> Element
    ) -> [Element] {
        let threads = min(max(1, threads), count)
        guard threads > 1 else {
            return workers.withWorker { worker in (0..<count).map { body(worker, $0) } }
        }
        let runLength = min(64, max(1, count / (threads * 8)))
        let nextIndex = Atomic<Int>(0)
        let finished = Mutex<[(start: Int, results: [Element])]>([])
        DispatchQueue.concurrentPerform(iterations: threads) { _ in
            workers.withWorker { worker in
                while true {
                    let start = nextIndex.add(runLength, ordering: .relaxed).oldValue
                    guard start < count else { break }
                    let results = (start..<min(count, start + runLength)).map { body(worker, $0) }
                    finished.withLock { $0.append((start, results)) }
                }
            }
        }
        return finished.withLock { runs in runs.sorted { $0.start < $1.start }.flatMap(\.results) }
    }
}
