import EttinCorpus
import EttinInference
import EttinJSON
import EttinModel
import EttinTables
import EttinTokenizer
import Foundation
import TestSupport
import Testing

@testable import EttinEvaluation

@Suite struct NegativeMinerTests {
    /// The vectors of the worked example: anchors q0 to q2 and texts d0 to d7; q0 has the positives d0 and d5.
    static let model = VectorTable(vectors: [
        "q0": [0.03, 0.04, -1.99], "q1": [-0.23, -0.26, 0.96], "q2": [-1.18, 0.74, -1.1],
        "d0": [-0.08, -0.22, -0.96], "d1": [0.01, 0.55, 0.86], "d2": [-0.57, 0.77, -0.95],
        "d3": [-0.07, 1.35, -0.4], "d4": [0.19, -0.02, 0.61], "d5": [-0.36, -0.15, 0.24],
        "d6": [0.1, -0.86, 0.9], "d7": [-1.3, -1.2, -1.28],
    ])
    static let table = pairTable([("q0", "d0"), ("q1", "d1"), ("q2", "d2"), ("q0", "d5")])
    static let corpus = (0..<8).map { "d\($0)" }

    private func mine(
        corpus: [String]? = corpus,
        crossEncoder: (any PairScores)? = nil,
        _ set: (inout MiningOptions) -> Void
    ) throws -> MinedNegatives {
        var options = MiningOptions()
        options.numNegatives = 2
        set(&options)
        let pairs = try MiningPairs(Self.table, corpus: corpus)
        return try NegativeMiner(options).mine(pairs, with: Self.model, crossEncoder: crossEncoder)
    }

    @Test func theWorkedExampleGivesTheOriginalsRows() throws {
        let triplets = try mine { _ in }
        #expect(triplets.columnNames == ["question", "answer", "negative"])
        #expect(
            rows(triplets) == [
                ["q0", "d0", "d2"], ["q0", "d0", "d7"], ["q0", "d5", "d2"], ["q0", "d5", "d7"], ["q1", "d1", "d4"],
                ["q1", "d1", "d6"], ["q2", "d2", "d3"], ["q2", "d2", "d0"],
            ]
        )
        let labeled = try mine {
            $0.outputFormat = .labeledPair
            $0.absoluteMargin = 0
            $0.rangeMax = 100
        }
        #expect(
            rows(labeled) == [
                ["q0", "d0", 1], ["q0", "d5", 1], ["q0", "d6", 0], ["q0", "d1", 0], ["q1", "d1", 1], ["q1", "d7", 0],
                ["q1", "d3", 0], ["q2", "d2", 1], ["q2", "d3", 0], ["q2", "d0", 0],
            ]
        )
        let ranking = try mine {
            $0.includePositives = true
            $0.numNegatives = 4
        }
        #expect(rows(ranking)[2] == ["q1", "d1", "d4", "d6", "d5", "d1"])
    }

    @Test(arguments: [1, 2, 3, 100])
    func blocksChangeNothing(_ size: Int) throws {
        let whole = try mine { $0.outputScores = true }
        let parts = try mine {
            $0.outputScores = true
            $0.searchBlock = size
            $0.batchSize = size
        }
        #expect(rows(parts) == rows(whole) && parts.statistics == whole.statistics)
    }

    @Test func randomSamplingDrawsAsPythonDoes() throws {
        var options = MiningOptions()
        options.numNegatives = 2
        options.rangeMax = 6
        options.samplingStrategy = .random
        options.seed = 12
        var selection = NegativeSelection(options, rangeMax: 6)
        let candidates = (0..<8).map { MiningCandidate(place: Int32($0), score: Float(8 - $0) / 8) }
        var random = PythonGenerator(seed: 12)
        for _ in 0..<20 {
            let found = selection.negatives(candidates, positives: [0, 3], positiveScores: [1, 0.6])
            let survivors: [Int32] = [1, 2, 4, 5, 6, 7]
            let expected = random.sample(6, 2).sorted().map { survivors[$0] }
            #expect(found.map(\.place) == expected)
        }
    }

    @Test func aCrossEncoderScoresAnewWhereThereAreBounds() throws {
        var asked: [String] = []
        let scorer = ClosureScores { pairs in
            asked += pairs.map { "\($0.first) \($0.second)" }
            // d7 is nearest for all, then d6 and so on.
            return pairs.map { Float($0.second.last?.wholeNumberValue ?? 0) }
        }
        let unbounded = try mine(crossEncoder: scorer) { _ in }
        #expect(try asked.isEmpty && rows(unbounded) == rows(mine { _ in }))
        let bounded = try mine(crossEncoder: scorer) {
            $0.maxScore = 6
            $0.outputScores = true
            $0.outputFormat = .nTuple
        }
        #expect(
            rows(bounded) == [
                ["q0", "d0", "d6", "d4", [0.0, 6.0, 4.0]], ["q0", "d5", "d6", "d4", [5.0, 6.0, 4.0]],
                ["q1", "d1", "d6", "d5", [1.0, 6.0, 5.0]], ["q2", "d2", "d6", "d5", [2.0, 6.0, 5.0]],
            ]
        )
        // Each pair once, positives not twice.
        #expect(Set(asked).count == asked.count && asked.count == 24)
    }

    @Test func whatCannotBeComparedIsNamedOrLeftOut() throws {
        var model = Self.model
        model.vectors["d3"] = [.nan, 0, 1]
        let pairs = try MiningPairs(Self.table, corpus: Self.corpus)
        #expect {
            try NegativeMiner().mine(pairs, with: model)
        } throws: {
            "\($0)" == "table: the embedding of \"d3\" has NaN or infinite numbers; expected finite ones"
        }
        // d3 and d4 get no score: two candidates remain.
        let scorer = ClosureScores { pairs in
            pairs.map { ["d3", "d4"].contains($0.second) ? .nan : Float($0.second.last?.wholeNumberValue ?? 0) }
        }
        for strategy in MiningOptions.Strategy.allCases {
            let mined = try mine(crossEncoder: scorer) {
                $0.maxScore = 100
                $0.rangeMax = 6
                $0.samplingStrategy = strategy
                $0.outputFormat = .labeledList
            }
            #expect(rows(mined).allSatisfy { !"\($0)".contains("d3") && !"\($0)".contains("d4") })
            #expect(rows(mined).map { $0[0] } == ["q0", "q0", "q1", "q2"])
        }
    }

    @Test func whatIsMissingIsLeftOut() throws {
        // Two texts remain for q0, and a bound leaves one for q1.
        let few = try mine(corpus: nil) {
            $0.numNegatives = 3
            $0.outputFormat = .nTuple
        }
        #expect(few.rowCount == 2 && rows(few).map { $0[0] } == ["q1", "q2"])
        let list = try mine {
            $0.minScore = 0.8
            $0.outputFormat = .labeledList
        }
        #expect(rows(list) == [["q1", ["d1", "d4", "d6"], [1, 0, 0]]])
        let none = try mine { $0.maxScore = -1 }
        #expect(none.rowCount == 0)
        let statistics = none.statistics
        #expect(statistics.negative.count == 0 && statistics.negative.mean.isNaN)
        #expect(statistics.negative.minimum == .infinity && statistics.negative.maximum == -.infinity)
        #expect(statistics.possibleRowCount == 8 && statistics.positive.count == 4)
    }

    @Test func statisticsAreThoseOfTheRows() throws {
        let mined = try mine {
            $0.relativeMargin = 0.05
            $0.minScore = -0.9
            $0.outputScores = true
        }
        var (positives, negatives) = ([Float](), [Float]())
        mined.forEachRow { row in
            guard case .list(let scores) = row[3], case .real(let positive) = scores[0],
                case .real(let negative) = scores[1]
            else { return }
            positives.append(Float(positive))
            negatives.append(Float(negative))
        }
        let statistics = mined.statistics
        #expect(statistics.negative == MiningStatistics.Distribution(negatives))
        #expect(statistics.difference == MiningStatistics.Distribution(zip(positives, negatives).map { $0 - $1 }))
        #expect(statistics.discards.map(\.name) == ["relative_margin", "min_score"])
        let four = MiningStatistics.Distribution([1, 4, 2, 8])
        #expect(four.mean == 3.75 && four.median == 2 && four.quartiles == [1.75, 3, 5])
        #expect(abs(four.standardDeviation - 3.095695936834452) < 1e-12)
    }

    @Test func aTextEqualToAPositiveStaysWithAMarginOfZero() throws {
        // Another spelling with the same vector; its score equals the positive's to the last bit.
        var model = Self.model
        for index in 0..<3 { model.vectors["twin\(index)"] = model.vectors["d2"] }
        var options = MiningOptions()
        options.absoluteMargin = 0
        options.numNegatives = 3
        let pairs = try MiningPairs(pairTable([("q2", "d2")]), corpus: ["twin0", "twin1", "d0", "twin2"])
        let mined = try NegativeMiner(options).mine(pairs, with: model)
        #expect(rows(mined).map { $0[2] } == ["twin0", "twin1", "twin2"])
    }

    @Test func textsAreToldApartByTheirCodePoints() throws {
        let table = pairTable([("q0", "\u{e9}"), ("q0", "e\u{301}"), ("q1", "\u{e9}")])
        let pairs = try MiningPairs(table)
        #expect(pairs.corpus.count == 2 && pairs.anchors == ["q0", "q1"] && pairs.mostPositives == 2)
    }

    @Test func promptsGoToTheirSides() throws {
        var model = Self.model
        for name in model.vectors.keys {
            model.vectors[(name.hasPrefix("q") ? "query: " : "passage: ") + name] = model.vectors[name]
        }
        model.vectors = model.vectors.filter { $0.key.contains(":") }
        var options = MiningOptions()
        options.queryPrompt = .text("query: ")
        options.corpusPrompt = .text("passage: ")
        options.numNegatives = 2
        let pairs = try MiningPairs(Self.table, corpus: Self.corpus)
        #expect(try rows(NegativeMiner(options).mine(pairs, with: model)) == rows(mine { _ in }))
    }

    struct Refused: CustomStringConvertible {
        let description: String
        let set: @Sendable (inout MiningOptions) -> Void

        init(_ description: String, _ set: @escaping @Sendable (inout MiningOptions) -> Void) {
            (self.description, self.set) = (description, set)
        }
    }

    @Test(arguments: [
        Refused("--num-negatives: is 0; expected 1") { $0.numNegatives = 0 },
        Refused("--range-min: is -1; expected 0") { $0.rangeMin = -1 },
        Refused("--range-min: is 5; expected less than --range-max, which is 5") {
            ($0.rangeMin, $0.rangeMax) = (5, 5)
        },
        Refused("--num-negatives: is 2, but 1 candidate remains of --range-max 5") {
            ($0.rangeMin, $0.rangeMax) = (4, 5)
        },
        Refused("--max-score: is nan") { $0.maxScore = .nan },
        Refused("--relative-margin: is inf") { $0.relativeMargin = .infinity },
        Refused("--min-score: is 0.5 above --max-score 0.25") { ($0.minScore, $0.maxScore) = (0.5, 0.25) },
        Refused("--batch-size: is 0") { $0.batchSize = 0 },
        Refused("--faiss-batch-size: is -3") { $0.searchBlock = -3 },
    ])
    func optionsThatContradictEachOtherAreNamed(_ example: Refused) {
        #expect {
            try mine(example.set)
        } throws: {
            "\($0)".hasPrefix(example.description)
        }
    }

    @Test func dataThatDoNotFitAreNamed() {
        func expect(_ text: String, _ body: () throws -> Void) {
            #expect(throws: EvaluationError.self) { try body() }
            do { try body() } catch { #expect("\(error)".contains(text), "\(error)") }
        }
        let pairs = pairTable([("a", "b"), ("c", "")])
        expect("row 2: column \"answer\" is empty; expected a text") { _ = try MiningPairs(pairs) }
        expect("column \"text\" of --positive-column-name is not there; expected \"question\", \"answer\"") {
            _ = try MiningPairs(pairs, positiveColumn: "text")
        }
        expect("holds a whole number; expected a text") {
            _ = try MiningPairs(ValueTable(["a", "b"], [[.text("x"), .integer(3)]]))
        }
        expect("has 1 column; expected two") { _ = try MiningPairs(ValueTable(["a"], [[.text("x")]])) }
        expect("has no rows") { _ = try MiningPairs(ValueTable(["a", "b"], [])) }
        expect("is the column of anchors and of positives") { _ = try MiningPairs(pairs, anchorColumn: "answer") }
        expect("makes a column \"negative\", which the data have too") {
            let pairs = try MiningPairs(pairTable([("a", "b")], names: ["question", "negative"]))
            _ = try NegativeMiner().mine(pairs, with: Self.model)
        }
    }

    @Test func filesHoldTheRows() throws {
        try withTemporaryFolder { folder in
            var options = MiningOptions()
            options.numNegatives = 1
            options.outputFormat = .labeledPair
            var model = Self.model
            model.vectors["a, \"b\"\n"] = [0, 0, 1]
            let pairs = try MiningPairs(pairTable([("q0", "d0"), ("q1", "a, \"b\"\n")]), corpus: ["d2", "d3"])
            let mined = try NegativeMiner(options).mine(pairs, with: model)
            let (lines, csv) = ("\(folder.path)/rows.jsonl", "\(folder.path)/rows.csv")
            try mined.write(to: lines, format: .jsonl)
            try mined.write(to: csv, format: .csv)
            let text = try String(contentsOfFile: lines, encoding: .utf8)
            #expect(text.hasPrefix("{\"question\": \"q0\", \"answer\": \"d0\", \"label\": 1}\n"))
            #expect(try String(contentsOfFile: csv, encoding: .utf8).contains("q1,\"a, \"\"b\"\"\n\",1\n"))
        }
    }
}
