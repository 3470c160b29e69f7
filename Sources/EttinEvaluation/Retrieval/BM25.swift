import EttinFiles
import Foundation

/// Ranks documents by the words that they share with a query.
///
/// A word's weight is `ln(1 + (N − n + 0.5) / (n + 0.5))` for n of N documents that have it, and its part of a score
/// `weight · tf · (k1 + 1) / (tf + k1 · (1 − b + b · length / mean length))`. Only words of the queries are indexed, so that
/// a corpus takes memory for those.
///
/// > Source: Robertson and Zaragoza, "The Probabilistic Relevance Framework", with the weight of Lucene, which is never
/// > negative; k1 and b as Anserini and Pyserini have them.
package struct BM25: Hashable, Sendable {
    /// How soon more occurrences of a word stop to count.
    package var k1 = 0.9
    /// How much long documents are held back.
    package var b = 0.4

    /// Uses the parameters of Pyserini.
    package init() {}

    /// Finds the documents with the highest scores; those that share no word with a query are not found.
    ///
    /// - Parameters:
    ///   - data: The queries and the corpus.
    ///   - depth: How many documents to find for each query.
    ///   - ties: Which of two documents with equal scores comes first.
    ///   - passesOverQueries: Whether a document with the id of the query is passed over.
    /// - Returns: For each query the documents, best first.
    /// - Throws: What reading the texts throws; `CancellationError`.
    package func rankings(
        _ data: RetrievalData,
        depth: Int,
        ties: DocumentRanking.TieOrder = .descendingID,
        passesOverQueries: Bool = false
    ) throws -> [[RankedDocument]] {
        var words: [ArraySlice<UInt8>: Int] = [:]
        let queries = try (0..<data.queries.count).map { query in
            var places: [Int] = []
            TextAnalyzer.forEachWord(try data.queries(query)) { word in
                let place = words[word] ?? words.count
                if place == words.count { words[ArraySlice(Array(word))] = place }
                places.append(place)
            }
            return places
        }
        let index = try Index(data, words)
        var scores = [Float](repeating: 0, count: data.documentIDs.count)
        return try queries.enumerated().map { query, places in
            try Task.checkCancellation()
            var found: [Int32] = []
            for place in places {
                let postings = index.postings[place]
                let documents = Double(data.documentIDs.count)
                let weight = log1p((documents - Double(postings.count) + 0.5) / (Double(postings.count) + 0.5))
                for posting in postings {
                    let document = Int(posting.document)
                    let length = index.meanLength > 0 ? Double(index.lengths[document]) / index.meanLength : 0
                    let frequency = Double(posting.count)
                    let part = weight * frequency * (k1 + 1) / (frequency + k1 * (1 - b + b * length))
                    if scores[document] == 0 { found.append(posting.document) }
                    scores[document] += Float(part)
                }
            }
            defer { for document in found { scores[Int(document)] = 0 } }
            let id = ExactName(data.queryIDs[query])
            let ranked = found.map { RankedDocument(document: Int($0), score: scores[Int($0)]) }
                .filter { !passesOverQueries || ExactName(data.documentIDs[$0.document]) != id }
                .sorted { one, other in
                    guard one.score == other.score else { return one.score > other.score }
                    let (first, second) = (data.documentIDs[one.document], data.documentIDs[other.document])
                    return (ExactName(first) < ExactName(second)) == (ties == .ascendingID)
                }
            return Array(ranked.prefix(depth))
        }
    }

    /// Where the words of the queries are.
    private struct Index {
        struct Posting {
            let document: Int32
            let count: Int32
        }

        private(set) var postings: [[Posting]]
        /// The number of words of each document.
        private(set) var lengths: [Int32] = []
        private(set) var meanLength = 0.0

        init(_ data: RetrievalData, _ words: [ArraySlice<UInt8>: Int]) throws {
            postings = [[Posting]](repeating: [], count: words.count)
            lengths.reserveCapacity(data.documentIDs.count)
            for document in 0..<data.documentIDs.count {
                if document.isMultiple(of: 1024) { try Task.checkCancellation() }
                var counts: [Int: Int32] = [:]
                var length: Int32 = 0
                TextAnalyzer.forEachWord(try data.documents(document)) { word in
                    length += 1
                    if let place = words[word] { counts[place, default: 0] += 1 }
                }
                lengths.append(length)
                for (place, count) in counts {
                    postings[place].append(Posting(document: Int32(document), count: count))
                }
            }
            meanLength = lengths.reduce(0) { $0 + Double($1) } / Double(max(1, lengths.count))
        }
    }
}
