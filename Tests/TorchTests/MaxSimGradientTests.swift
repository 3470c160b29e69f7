import Testing

@testable import Torch

// In the suite of the other kernels, which tries every instruction set too.
extension AttentionKernelTests {
    /// Rows of queries and documents of some lengths.
    struct MaxSimOperands {
        let queries, documents: Tensor
        let cuQueries, cuDocuments: [Int32]

        init(_ queryLengths: [Int], _ documentLengths: [Int], width: Int) {
            func ends(_ lengths: [Int]) -> [Int32] {
                lengths.reduce(into: [0]) { $0.append(($0.last ?? 0) + Int32($1)) }
            }
            queries = TrainingOperatorTests.random([queryLengths.reduce(0, +), width], 1, scale: 1)
            documents = TrainingOperatorTests.random([documentLengths.reduce(0, +), width], 2, scale: 1)
            (cuQueries, cuDocuments) = (ends(queryLengths), ends(documentLengths))
            for leaf in leaves { leaf.setRequiresGradient(true) }
        }

        init(_ queries: [Float], _ cuQueries: [Int32], _ documents: [Float], _ cuDocuments: [Int32], width: Int) {
            self.queries = Tensor(queries, shape: [queries.count / width, width])
            self.documents = Tensor(documents, shape: [documents.count / width, width])
            (self.cuQueries, self.cuDocuments) = (cuQueries, cuDocuments)
            for leaf in leaves { leaf.setRequiresGradient(true) }
        }

        private init(exactly other: MaxSimOperands) {
            (queries, documents) = (
                other.queries.detached().to(.float64), other.documents.detached().to(.float64)
            )
            (cuQueries, cuDocuments) = (other.cuQueries, other.cuDocuments)
            for leaf in leaves { leaf.setRequiresGradient(true) }
        }

        var leaves: [Tensor] { [queries, documents] }
        var exact: MaxSimOperands { MaxSimOperands(exactly: self) }

        func scores(_ pairs: MaxSimPairs, competing: [Bool]? = nil, isComposed: Bool = false) -> Tensor {
            maxSim(
                queries: queries,
                cuQueries: cuQueries,
                documents: documents,
                cuDocuments: cuDocuments,
                pairs: pairs,
                competesWithZero: competing,
                isComposed: isComposed
            )
        }

        /// Gradients where those of scores are all different.
        func backward(_ scores: Tensor) {
            (scores * TrainingOperatorTests.random(scores.shape, 4, scale: 1).to(scores.dtype)).sum().backward()
        }

        func takeGradients() throws -> [[Float]] {
            try leaves.map { leaf in
                let gradient = try #require(leaf.gradient)
                leaf.clearGradient()
                return try gradient.to(.float32).array(of: Float.self)
            }
        }
    }

    @Test(arguments: sets)
    func maxSimGradientsEqualThoseOfEveryProductInFloat64(set: InstructionSet) throws {
        let before = InstructionSet.current
        defer { _ = before.use() }
        try #require(set.use())
        // Queries of every number of vectors, of several panels and of no rows; documents of any length.
        let queries = [1, 7, 0, 40, 60, 130], documents = [3, 1, 0, 75, 6, 19, 8, 0, 2, 30, 5, 4]
        let competing = documents.indices.map { $0 % 3 != 1 }
        for width in [1, 6, 16, 130] {
            for (pairs, shape, count) in [
                (MaxSimPairs.all, [6, 12], 12), (.grouped(perQuery: 2), [6, 2], 12), (.pairwise, [6], 6),
            ] {
                for competing in [nil, Array(competing.prefix(count))] {
                    let operands = MaxSimOperands(queries, Array(documents.prefix(count)), width: width)
                    let exact = operands.exact
                    let scores = operands.scores(pairs, competing: competing)
                    let expected = exact.scores(pairs, competing: competing)
                    #expect(scores.shape == shape && expected.dtype == .float64)
                    // −10⁹ is exact; other scores are sums of products of at most 1.
                    let difference = try TrainingOperatorTests.difference(scores, expected)
                    #expect(difference < 1e-5 * Double(width) * 130, "\(pairs), width \(width)")
                    operands.backward(scores)
                    exact.backward(expected)
                    for (leaf, other) in zip(operands.leaves, exact.leaves) {
                        let gradient = try #require(leaf.gradient)
                        #expect(gradient.shape == leaf.shape)
                        #expect(try Self.relativeDifference(gradient, #require(other.gradient)) < 1e-5)
                    }
                    // The operators in float32, and the kernel without gradients.
                    let composed = operands.scores(pairs, competing: competing, isComposed: true)
                    #expect(try TrainingOperatorTests.difference(composed, expected) < 1e-5 * Double(width) * 130)
                    let unrecorded = withoutGradients { operands.scores(pairs, competing: competing) }
                    #expect(try unrecorded.isEqual(to: scores.detached()))
                }
            }
        }
    }

    @Test func maxSimForTrainingHasTheBitsOfThatForInference() throws {
        let operands = MaxSimOperands([1, 7, 40, 130], [3, 1, 0, 75], width: 48)
        let values = try operands.leaves.map { try $0.detached().array(of: Float.self) }
        for isPairwise in [false, true] {
            let expected = maxSimScores(
                queries: values[0],
                operands.cuQueries,
                documents: values[1],
                operands.cuDocuments,
                width: 48,
                isPairwise: isPairwise
            )
            let scores = operands.scores(isPairwise ? .pairwise : .all)
            #expect(try scores.detached().array(of: Float.self) == expected)
        }
    }

    @Test(arguments: sets)
    func ofEqualProductsTheFirstRowGetsTheGradient(set: InstructionSet) throws {
        let before = InstructionSet.current
        defer { _ = before.use() }
        try #require(set.use())
        let rows: [Float] = [1, 3, 3, 2, 3, 0, 3, 3]
        for isComposed in [false, true] {
            let operands = MaxSimOperands([2, -1], [0, 1, 2], rows, [0, 8], width: 1)
            operands.scores(.all, isComposed: isComposed).sum().backward()
            #expect(try operands.takeGradients() == [[3, 0], [0, 2, 0, 0, 0, -1, 0, 0]])
        }
    }

    @Test(arguments: sets)
    func whereZeroIsLargerNoGradientFlows(set: InstructionSet) throws {
        let before = InstructionSet.current
        defer { _ = before.use() }
        try #require(set.use())
        for isComposed in [false, true] {
            // Documents of which one competes, one does not, and of which two have no rows.
            let operands = MaxSimOperands([-1, 2], [0, 2], [1, 4, 1, 4], [0, 2, 4, 4, 4], width: 1)
            let scores = operands.scores(.all, competing: [true, false, true, false], isComposed: isComposed)
            #expect(try scores.detached().array(of: Float.self) == [8, 7, 0, -1e9])
            scores.sum().backward()
            #expect(try operands.takeGradients() == [[1, 8], [0, 2, -1, 2]])
        }
    }

    @Test(arguments: sets)
    func maxSimGradientsKeepWhatIsNotANumber(set: InstructionSet) throws {
        let before = InstructionSet.current
        defer { _ = before.use() }
        try #require(set.use())
        for competing in [nil, [true, true]] {
            let operands = MaxSimOperands([1, 2], [0, 1, 2], [5, .nan, 9, 1, 2], [0, 3, 5], width: 1)
            let scores = operands.scores(.all, competing: competing)
            let values = try scores.detached().array(of: Float.self)
            #expect(values[0].isNaN && values[1] == 2 && values[2].isNaN && values[3] == 4)
            scores.sum().backward()
            let gradients = try operands.takeGradients()
            #expect(gradients[0].allSatisfy { $0.isNaN })
            // The first that is not a number gets the gradient, as from torch.max.
            #expect(gradients[1] == [0, 3, 0, 0, 3])
        }
    }

    @Test func maxSimForTrainingGivesTheOriginalsNumbers() throws {
        // spec/finetune-colbert.md, section H: the second row of the second query and the last of the first document are
        // masked.
        let documents: [Float] = [0.8, 0.6, 0, 0, 0, 1, 0, -1, 0, -0.6, 0, 0.8, -0.8, -0.6, 0]
        let operands = MaxSimOperands([1, 0, 0, 0.6, 0.8, 0, 0, 1, 0], [0, 2, 3], documents, [0, 2, 5], width: 3)
        let scores = try operands.scores(.all, competing: [true, false]).detached().array(of: Float.self)
        for (score, expected) in zip(scores, [1.76, -0.36, 0.6, 0] as [Float]) { #expect(abs(score - expected) < 1e-6) }
    }

    @Test func maxSimGradientsHaveTheSameBitsAtAnyNumberOfThreads() async {
        await #expect(processExitsWith: .success) {
            for pairs in [MaxSimPairs.all, .grouped(perQuery: 3)] {
                var first: [[Float]] = []
                for threads in [1, 2, 3, 7] {
                    TorchRuntime.setThreadCount(threads)
                    let operands = MaxSimOperands(
                        [32, 5, 0, 70],
                        [20, 1, 0, 90, 33, 7, 7, 8, 9, 100, 2, 3],
                        width: 128
                    )
                    let scores = operands.scores(pairs, competing: (0..<12).map { $0 % 2 == 0 })
                    operands.backward(scores)
                    let values = try [scores.detached().array(of: Float.self)] + operands.takeGradients()
                    if first.isEmpty { first = values }
                    #expect(values == first, "\(threads) threads, \(pairs)")
                }
            }
        }
    }

    @Test func maxSimWithoutQueriesOrDocuments() throws {
        #expect(MaxSimOperands([], [3], width: 4).scores(.all).shape == [0, 1])
        #expect(MaxSimOperands([3], [], width: 4).scores(.all).shape == [1, 0])
        #expect(MaxSimOperands([], [], width: 4).scores(.pairwise).shape == [0])
        let operands = MaxSimOperands([0, 2], [0, 3], width: 4)
        operands.backward(operands.scores(.pairwise))
        #expect(try operands.takeGradients()[1].contains { $0 != 0 })
    }

    @Test func maxSimRefusesWhatDoesNotFit() async throws {
        func message(_ output: [UInt8]) -> String { String(decoding: output, as: UTF8.self) }
        let groups = try await #require(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            _ = MaxSimOperands([2, 2], [3, 3, 3], width: 4).scores(.grouped(perQuery: 2))
        }
        #expect(message(groups.standardErrorContent).contains("3 documents are not 2 for each of 2 queries"))
        let counts = try await #require(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            _ = MaxSimOperands([2, 2], [3], width: 4).scores(.all, competing: [true, false])
        }
        #expect(message(counts.standardErrorContent).contains("2 documents that may compete with zero; there are 1"))
    }
}
