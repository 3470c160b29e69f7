import EttinInference
import EttinModel
import EttinPrimitives
import TestSupport
import Testing
import Torch

@testable import EttinEvaluation

@Suite struct ExactSearchTests {
    /// A score in double precision, straight from the definition.
    private func score(_ a: ArraySlice<Float>, _ b: ArraySlice<Float>, _ similarity: EmbeddingSimilarity) -> Double {
        let pairs = zip(a.map(Double.init), b.map(Double.init))
        let product = pairs.reduce(0) { $0 + $1.0 * $1.1 }
        switch similarity {
        case .dot: return product
        case .cosine:
            let squares = [a, b].map { $0.reduce(0) { $0 + Double($1) * Double($1) } }
            return product / (squares[0].squareRoot() * squares[1].squareRoot())
        case .euclidean: return -pairs.reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
        case .manhattan: return -pairs.reduce(0) { $0 + abs($1.0 - $1.1) }
        }
    }

    @Test(arguments: EmbeddingSimilarity.allCases, [(1, 1, 3, 1), (3, 5, 8, 9), (530, 2100, 19, 7), (9, 4200, 33, 60)])
    func findsWhatAFullSortFinds(_ similarity: EmbeddingSimilarity, _ size: (Int, Int, Int, Int)) throws {
        let (queries, corpus) = (vectors(size.0, size.2, seed: 1), vectors(size.1, size.2, seed: 2))
        let found = try ExactSearch.topK(queries: queries, corpus: corpus, k: size.3, similarity: similarity)
        #expect(found.count == size.0)
        for query in stride(from: 0, to: size.0, by: 53) {
            let all = (0..<size.1).map { score(queries[query], corpus[$0], similarity) }
            let best = all.sorted(by: >).prefix(size.3)
            #expect(found[query].count == best.count)
            for (hit, expected) in zip(found[query], best) {
                #expect(abs(Double(hit.score) - expected) < 1e-5 && abs(all[hit.index] - expected) < 1e-5)
            }
            #expect(Set(found[query].map(\.index)).count == best.count)
        }
    }

    @Test(arguments: EmbeddingSimilarity.allCases)
    func equalVectorsComeInTheOrderOfTheRule(_ similarity: EmbeddingSimilarity) throws {
        // Three vectors in turn, over several blocks and at their ragged ends.
        let (width, count) = (37, 4999)
        let three = vectors(3, width, seed: 5)
        let corpus = TextEmbeddings(
            values: (0..<count).flatMap { three[$0 % 3] },
            dimensions: width,
            isTruncated: [Bool](repeating: false, count: count)
        )
        let query = TextEmbeddings(values: Array(three[1]), dimensions: width, isTruncated: [false])
        let search = try ExactSearch(corpus: corpus, similarity: similarity)
        let first = try search.topK(query, k: 700)[0].map(\.index)
        let last = try search.topK(query, k: 700, ties: .descendingIndex)[0].map(\.index)
        // Which one is nearest by its product, no matter how long the others are.
        let kind = first[0] % 3
        let all = (0..<count).filter { $0 % 3 == kind }
        #expect(first == Array(all.prefix(700)) && last == Array(all.suffix(700).reversed()))
    }

    // Products of such vectors are about 1, and their distances a millionth of that when squared.
    @Test(arguments: [(1 as Float, 1e-3 as Float), (10, 0.01)])
    func smallDistancesBetweenLargeVectorsAreFound(norm: Float, spread: Float) throws {
        let (width, count) = (96, 2500)
        let middle = vectors(1, width, seed: 7)[0]
        let length = middle.reduce(0) { $0 + $1 * $1 }.squareRoot()
        func near(_ count: Int, seed: UInt64) -> TextEmbeddings {
            let noise = vectors(count, width, seed: seed)
            let values = (0..<count).flatMap { row in zip(middle, noise[row]).map { $0 / length * norm + $1 * spread } }
            return TextEmbeddings(
                values: values,
                dimensions: width,
                isTruncated: [Bool](repeating: false, count: count)
            )
        }
        let (queries, corpus) = (near(20, seed: 8), near(count, seed: 9))
        let found = try ExactSearch.topK(queries: queries, corpus: corpus, k: 5, similarity: .euclidean)
        for query in 0..<queries.count {
            let all = (0..<count).map { score(queries[query], corpus[$0], .euclidean) }
            let best = all.sorted(by: >).prefix(5)
            for (hit, expected) in zip(found[query], best) {
                #expect(abs(all[hit.index] - expected) < 1e-5 * Double(spread))
            }
        }
    }

    @Test func aQueryAloneEqualsItselfAmongMany() throws {
        let (queries, corpus) = (vectors(1100, 24, seed: 3), vectors(3000, 24, seed: 4))
        let search = try ExactSearch(corpus: corpus)
        let all = try search.topK(queries, k: 5)
        for index in [0, 511, 512, 1099] {
            let one = TextEmbeddings(values: Array(queries[index]), dimensions: 24, isTruncated: [false])
            #expect(try search.topK(one, k: 5)[0] == all[index])
        }
    }

    @Test(arguments: EmbeddingSimilarity.allCases, [3, 387])
    func pairsHaveTheScoresOfTheSearch(_ similarity: EmbeddingSimilarity, _ width: Int) throws {
        let (queries, corpus) = (vectors(7, width, seed: 3), vectors(90, width, seed: 4))
        let hits = try ExactSearch.topK(queries: queries, corpus: corpus, k: 90, similarity: similarity)
        let pairs = hits.enumerated().flatMap { query, hits in hits.map { (query: query, document: $0.index) } }
        let scores = try ExactSearch.scores(ofPairs: pairs, queries, corpus, similarity: similarity)
        // To the last bit, which margins of 0 rely on.
        #expect(scores == hits.flatMap { $0.map(\.score) })
    }

    @Test func bfloat16FindsNearlyTheSame() throws {
        let (queries, corpus) = (vectors(20, 64, seed: 3), vectors(500, 64, seed: 4))
        let exact = try ExactSearch(corpus: corpus).topK(queries, k: 500)
        let rounded = try ExactSearch(corpus: corpus, precision: .bfloat16).topK(queries, k: 500)
        for (exact, rounded) in zip(exact, rounded) {
            let scores = Dictionary(uniqueKeysWithValues: exact.map { ($0.index, $0.score) })
            #expect(rounded.allSatisfy { abs(($0.score) - (scores[$0.index] ?? 9)) < 5e-3 })
        }
    }

    @Test func zeroVectorsAndEmptySidesAreNoTrouble() throws {
        let zeros = TextEmbeddings(values: [0, 0, 0, 0], dimensions: 2, isTruncated: [false, false])
        let none = TextEmbeddings(values: [], dimensions: 2, isTruncated: [])
        let first = [SearchHit(index: 0, score: 0)]
        #expect(try ExactSearch.topK(queries: zeros, corpus: zeros, k: 1) == [first, first])
        #expect(try ExactSearch.topK(queries: none, corpus: zeros, k: 1).isEmpty)
        #expect(try ExactSearch.topK(queries: zeros, corpus: none, k: 1) == [[], []])
    }

    @Test func partitionPutsTheBestFirst() {
        for count in [1, 2, 3, 33, 200] {
            for kind in 0..<3 {
                let random = Philox(seed: UInt64(count)).uniforms(count: count).map { UInt64($0 * 50) }
                let values = kind == 0 ? random : (0..<count).map { UInt64(kind == 1 ? $0 : count - $0) }
                for best in [1, count / 2, count] where best > 0 {
                    var entries = values
                    entries.withUnsafeMutableBufferPointer { TopScores.partition($0, best: best) }
                    let sorted = values.sorted(by: >)
                    #expect(entries.prefix(best).sorted(by: >) == Array(sorted.prefix(best)))
                    #expect(entries[best - 1] == sorted[best - 1])
                }
            }
        }
    }
}

/// Vectors of numbers between -0.5 and 0.5.
func vectors(_ count: Int, _ width: Int, seed: UInt64) -> TextEmbeddings {
    TextEmbeddings(
        values: Philox(seed: seed).uniforms(count: count * width).map { $0 - 0.5 },
        dimensions: width,
        isTruncated: [Bool](repeating: false, count: count)
    )
}
