import Foundation
import Testing
import Torch

@testable import EttinModel

/// Sequences that join, leave and fork, prompts beside single tokens: against each sequence alone.
@Suite struct KVCacheSharingTests {
    /// Rounding of float32, with logits of at most a few units.
    static let tolerance = 1e-6

    static func model(_ rule: WindowRule = .transformers, isPacked: Bool) -> LanguageModel {
        var configuration = WeightInitializationTests.configuration(.decoder)
        configuration.localAttention = 24
        configuration.maxPositionEmbeddings = 400
        let model = LanguageModel(configuration, windowRule: rule)
        model.initialize(.transformers, seed: 11)
        if isPacked { model.prepackWeights(.float32) }
        return model
    }

    static func tokens(_ count: Int, _ stream: Int) -> [Int32] { KVCacheTests.tokens(count, UInt64(stream)) }

    /// A cache beside the tokens that each of its sequences has had.
    private struct Company {
        let model: LanguageModel
        let cache: KVCache
        var members: [(cached: CachedSequence, tokens: [Int32])] = []
        var largestDifference = 0.0
        var largestLogit = 0.0

        init(_ model: LanguageModel) {
            self.model = model
            cache = KVCache(for: model.model)
        }

        mutating func join() { members.append((cache.join(), [])) }

        mutating func leave(_ index: Int) throws { try cache.leave(members.remove(at: index).cached) }

        mutating func fork(_ index: Int, count: Int) throws {
            let tokens = members[index].tokens
            members += try cache.fork(members[index].cached, count: count).map { ($0, tokens) }
        }

        /// Gives some members new tokens, and compares the logits of all of these with those of each member alone.
        mutating func step(_ new: [(member: Int, tokens: [Int32])]) throws {
            let batch = CachedBatch(new.map { members[$0.member].cached }, tokens: new.map(\.tokens))
            let logits = model.logits(try model.model(batch, cache: cache))
            for (place, (member, tokens)) in new.enumerated() {
                members[member].tokens += tokens
                let whole = PackedBatch([members[member].tokens])
                let states = model.model(whole)
                let alone = model.logits(
                    states.narrowed(along: 0, from: whole.tokenCount - tokens.count, count: tokens.count)
                )
                let range = batch.tokens.range(of: place)
                let found = logits.narrowed(along: 0, from: range.lowerBound, count: range.count)
                largestDifference = max(largestDifference, try (alone - found).absolute().max().scalar())
                largestLogit = max(largestLogit, try alone.absolute().max().scalar())
            }
            for member in members { #expect(try cache.length(of: member.cached) == member.tokens.count) }
            #expect(cache.sequenceCount == members.count)
        }
    }

    /// The window of 12 or 13 tokens, and pages of 64.
    @Test(arguments: [WindowRule.transformers, .training], [false, true])
    func promptsAndSingleTokensShareAPass(rule: WindowRule, isPacked: Bool) throws {
        try withoutGradients {
            var company = Company(Self.model(rule, isPacked: isPacked))
            for _ in 0..<5 { company.join() }
            try company.step([(0, Self.tokens(5, 0)), (1, Self.tokens(70, 1)), (2, Self.tokens(1, 2))])
            // Single tokens, a prompt of a new sequence, and parts of prompts shorter and longer than the window.
            try company.step([
                (0, [7]), (3, Self.tokens(30, 3)), (1, Self.tokens(40, 4)), (2, Self.tokens(3, 5)), (4, [9]),
            ])
            try company.step([(4, Self.tokens(64, 6)), (0, Self.tokens(12, 7)), (1, [3]), (3, Self.tokens(13, 8))])
            for token in 0..<15 { try company.step((0..<5).map { ($0, [Int32(20 + token + $0)]) }) }
            #expect(company.largestDifference <= Self.tolerance, "of logits up to \(company.largestLogit)")
        }
    }

    @Test(arguments: [0, 1, 11, 12, 63, 64, 65, 150], [false, true])
    func forksGoTheirOwnWays(prefix: Int, isPacked: Bool) throws {
        try withoutGradients {
            var company = Company(Self.model(isPacked: isPacked))
            company.join()
            if prefix > 0 { try company.step([(0, Self.tokens(prefix, 0))]) }
            try company.fork(0, count: 2)
            // Continuations of several tokens, of one, and the original's own.
            try company.step([(1, Self.tokens(9, 1)), (2, [5]), (0, Self.tokens(3, 2))])
            // Forks of a fork, one of which outlives it.
            try company.fork(1, count: 2)
            try company.step([(3, [8]), (4, Self.tokens(20, 3)), (1, [6])])
            try company.leave(1)
            try company.leave(0)
            for token in 0..<14 { try company.step(company.members.indices.map { ($0, [Int32(50 + token + $0)]) }) }
            #expect(company.largestDifference <= Self.tolerance, "of logits up to \(company.largestLogit)")
        }
    }

    /// Whatever is drawn, each sequence is what it would be alone; places of those that left are taken again.
    @Test(arguments: [1, 2, 3], [false, true])
    func anyCourseEqualsSequencesAlone(seed: UInt64, isPacked: Bool) throws {
        try withoutGradients {
            var company = Company(Self.model(isPacked: isPacked))
            let source = Philox(seed: seed, stream: 3)
            var drawn: UInt64 = 0
            func draw(_ count: Int) -> Int {
                drawn += 1
                return min(Int(source.uniform(at: drawn) * Float(count)), count - 1)
            }
            for round in 0..<40 {
                if company.members.count < 3 || draw(4) == 0 { company.join() }
                if company.members.count > 6 { try company.leave(draw(company.members.count)) }
                if draw(3) == 0 { try company.fork(draw(company.members.count), count: 1 + draw(2)) }
                var new: [(Int, [Int32])] = []
                for member in company.members.indices where draw(3) > 0 {
                    let length = company.members[member].tokens.count
                    let count = [1, 1, 1, 2, 5, 13, 40, 70][draw(8)]
                    if length + count <= 400 { new.append((member, Self.tokens(count, 100 * round + member))) }
                }
                if draw(2) == 0 { new.reverse() }
                try company.step(new)
            }
            #expect(company.largestDifference <= Self.tolerance, "of logits up to \(company.largestLogit)")
        }
    }

    @Test func forksShareFullPagesAndPlacesAreTakenAgain() throws {
        let model = Self.model(isPacked: true)
        let cache = KVCache(for: model.model)
        let prompt = cache.join()
        _ = try model.model(CachedBatch([prompt], tokens: [Self.tokens(200, 0)]), cache: cache)
        #expect(cache.pageCount == 4)
        // Three full pages are shared; each fork has its own copy of the fourth.
        let forks = try cache.fork(prompt, count: 3)
        #expect(cache.pageCount == 7)
        for fork in forks { try cache.leave(fork) }
        try cache.leave(prompt)
        for _ in 0..<5 {
            let next = cache.join()
            _ = try model.model(CachedBatch([next], tokens: [Self.tokens(300, 1)]), cache: cache)
            #expect(cache.pageCount == 5)
            try cache.leave(next)
        }
        #expect(cache.pageCount == 0)
        #expect(cache.sequenceCount == 0)
    }

    @Test func theLowestPagesAreTakenFirstAndTheLastIsInUse() {
        var pool = CachePagePool()
        #expect((0..<6).map { _ in pool.take() } == [0, 1, 2, 3, 4, 5])
        pool.share(2)
        for page in [4, 1, 2] as [Int32] { pool.release(page) }
        #expect(pool.count == 6)
        pool.release(5)
        #expect(pool.count == 4)
        #expect((0..<3).map { _ in pool.take() } == [1, 4, 5])
        for page in [0, 1, 2, 3, 5, 4] as [Int32] { pool.release(page) }
        #expect(pool.count == 0)
        #expect(pool.take() == 0)
    }

    @Test func whatTheCacheCannotServeIsAnErrorAndChangesNothing() throws {
        let model = Self.model(isPacked: true)
        let (cache, other) = (KVCache(for: model.model), KVCache(for: model.model))
        let (one, two, foreign) = (cache.join(), cache.join(), other.join())
        try cache.leave(two)
        func step(_ sequences: [CachedSequence], _ tokens: [[Int32]]) throws {
            _ = try model.nextTokenLogits(CachedBatch(sequences, tokens: tokens), cache: cache)
        }
        try step([one], [Self.tokens(395, 0)])
        #expect(throws: KVCacheError.unknownSequence(two)) { try step([one, two], [[1], [1]]) }
        #expect(throws: KVCacheError.unknownSequence(foreign)) { try step([foreign], [[1]]) }
        #expect(throws: KVCacheError.repeatedSequence(one)) { try step([one, one], [[1], [2]]) }
        #expect(throws: KVCacheError.noTokens(one)) { try step([one], [[]]) }
        #expect(throws: KVCacheError.overlongSequence(one, tokens: 401, limit: 400)) {
            try step([one], [Self.tokens(6, 1)])
        }
        #expect(throws: KVCacheError.unknownSequence(two)) { try cache.leave(two) }
        #expect(throws: KVCacheError.unknownSequence(two)) { try cache.fork(two) }
        #expect(throws: KVCacheError.unknownSequence(foreign)) { try cache.length(of: foreign) }
        #expect(
            "\(KVCacheError.overlongSequence(one, tokens: 401, limit: 400))".hasSuffix(
                "would have 401 tokens; expected at most 400, the positions of the model"
            )
        )
        #expect(try cache.length(of: one) == 395)
        try step([one], [Self.tokens(5, 1)])
        #expect(try model.model(CachedBatch([], tokens: []), cache: cache).shape == [0, 64])
    }

    @Test func afterAFailureTheSequencesOfTheBatchLeaveAndOthersStay() throws {
        let model = Self.model(isPacked: true)
        try withoutGradients {
            var company = Company(model)
            company.join()
            company.join()
            try company.step([(0, Self.tokens(70, 0)), (1, Self.tokens(20, 1))])
            let (kept, lost) = (company.members[0].cached, company.members[1].cached)
            var late: CachedSequence?
            #expect(throws: TorchError.self) {
                try withRecovery {
                    _ = Tensor.uninitialized([1 << 50])
                    late = company.cache.join()
                    let batch = CachedBatch([lost, try #require(late)], tokens: [[4], Self.tokens(200, 2)])
                    _ = try model.nextTokenLogits(batch, cache: company.cache)
                }
            }
            #expect(throws: KVCacheError.unknownSequence(lost)) { try company.cache.length(of: lost) }
            #expect(try company.cache.length(of: kept) == 70)
            company.members.removeLast()
            company.join()
            try company.step([(0, [9]), (1, Self.tokens(150, 3))])
            #expect(company.largestDifference <= Self.tolerance, "of logits up to \(company.largestLogit)")
        }
    }

    /// Runs a body in a recovery scope that has failed.
    private func withoutMemory(_ body: () throws -> Void) {
        #expect(throws: TorchError.self) {
            try withRecovery {
                _ = Tensor.uninitialized([1 << 50])
                try body()
            }
        }
    }

    @Test func whatFailedPromptsAndForksTookIsGivenBack() throws {
        let model = Self.model(isPacked: true)
        try withoutGradients {
            var company = Company(model)
            company.join()
            try company.step([(0, Self.tokens(70, 0))])
            let (cache, kept) = (company.cache, company.members[0].cached)
            #expect(cache.pageCount == 2)
            withoutMemory {
                let prompt = cache.join()
                _ = try model.nextTokenLogits(CachedBatch([prompt], tokens: [Self.tokens(390, 1)]), cache: cache)
            }
            #expect(cache.pageCount == 2 && cache.sequenceCount == 1)
            withoutMemory {
                let forks = try cache.fork(kept, count: 5)
                #expect(throws: KVCacheError.unknownSequence(forks[0])) { try cache.leave(forks[0]) }
            }
            #expect(cache.pageCount == 2 && cache.sequenceCount == 1)
            try company.step([(0, Self.tokens(80, 2))])
            #expect(cache.pageCount == 3)
            try company.fork(0, count: 2)
            try company.step([(0, [1]), (1, [2]), (2, Self.tokens(9, 3))])
            #expect(company.largestDifference <= Self.tolerance, "of logits up to \(company.largestLogit)")
        }
    }

    @Test func aCacheMadeWithoutMemoryServesWhenThereIsSome() throws {
        let model = Self.model(isPacked: true)
        let batch = { (sequence: CachedSequence) in CachedBatch([sequence], tokens: [Self.tokens(70, 0)]) }
        try withoutGradients {
            var made: KVCache?
            withoutMemory {
                let cache = KVCache(for: model.model)
                made = cache
                _ = try model.nextTokenLogits(batch(cache.join()), cache: cache)
            }
            let (cache, other) = (try #require(made), KVCache(for: model.model))
            #expect(cache.sequenceCount == 0)
            let logits = try model.nextTokenLogits(batch(cache.join()), cache: cache)
            #expect(try logits.isEqual(to: model.nextTokenLogits(batch(other.join()), cache: other)))
        }
    }

    #if os(Linux)
        /// Lets the process have so many more bytes of memory than it has.
        static func limitMemory(to headroom: Int) throws {
            let pages = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).prefix { $0 != " " }
            let bytes = try #require(UInt(pages)) * UInt(getpagesize()) + UInt(headroom)
            var limit = rlimit(rlim_cur: bytes, rlim_max: bytes)
            try #require(setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0)
        }

        /// 20 000 rings of one layer take 133 MB, so that there is memory for a copy of them, but not for twice as many.
        @Test func afterRunningOutOfMemoryOthersGoOnAndGrowByWhatTheyNeed() async {
            await #expect(processExitsWith: .success) {
                let model = Self.model(isPacked: true)
                let cache = KVCache(for: model.model)
                func step(_ sequence: CachedSequence, _ tokens: [Int32]) throws {
                    let states = try withRecovery {
                        try model.model(CachedBatch([sequence], tokens: [tokens]), cache: cache)
                    }
                    try #require(states.size(0) == tokens.count)
                }
                try withoutGradients {
                    let kept = (0..<20_000).map { _ in cache.join() }
                    try step(kept[19_999], Self.tokens(70, 0))
                    TorchRuntime.releaseKeptMemory()
                    try Self.limitMemory(to: 220_000_000)
                    let many = (0..<200_000).map { _ in cache.join() }
                    #expect(throws: TorchError.self) { try step(many[0], [1]) }
                    for sequence in many.dropFirst() { try cache.leave(sequence) }
                    try step(kept[19_999], [2])
                    for _ in 0..<2 { try step(cache.join(), Self.tokens(30, 1)) }
                    #expect(try cache.length(of: kept[19_999]) == 71)
                }
            }
        }
    #endif
}
