import Testing

@testable import EttinEvaluation

@Suite("The scores of GLUE")
struct GLUESummaryTests {
    private func near(_ one: Double?, _ other: Double) -> Bool { one.map { abs($0 - other) < 1e-12 } ?? false }

    private func job(_ task: GLUETask, _ seed: Int? = 1, _ values: Double..., model: String = "m") -> GLUEJob {
        let places = task.validationParts.flatMap { part in task.metrics.map { (part, $0) } }
        return GLUEJob(
            name: "j",
            model: model,
            task: task,
            seed: seed,
            scores: zip(places, values).map { GLUEScore(part: $0.0, metric: $0.1, value: $1) }
        )
    }

    @Test("each average takes its metrics of MRPC and QQP, and both parts of MNLI")
    func averages() {
        let mrpc = job(.mrpc, 1, 0.8, 0.9)
        #expect(near(mrpc.value(by: .mean), 0.85) && mrpc.value(by: .accuracy) == 0.8)
        #expect(mrpc.value(by: .last) == 0.9 && mrpc.value(by: .f1) == 0.9)
        let mnli = job(.mnli, 1, 0.6, 0.7)
        #expect(GLUEAverage.allCases.allSatisfy { near(mnli.value(by: $0), 0.65) })
        #expect(job(.mnli, 1, 0.6).value(by: .mean) == nil)
    }

    @Test("seeds are averaged first, then tasks; other models and WNLI do not enter")
    func means() throws {
        let jobs = [
            job(.rte, 2, 0.7), job(.rte, 1, 0.5), job(.rte, 3, 0.6), job(.cola, 1, -0.1), job(.wnli, 1, 1),
            job(.rte, 1, 0.9, model: "n"),
        ]
        let summaries = GLUESummary.summaries(jobs)
        #expect(summaries.map(\.model) == ["m", "n"])
        #expect(summaries[0].jobs.map(\.task) == [.cola, .rte, .rte, .rte, .wnli])
        #expect(summaries[0].jobs.map(\.seed) == [1, 1, 2, 3, 1])
        let tasks = summaries[0].tasks(by: .mean)
        #expect(tasks.map(\.task) == [.cola, .rte, .wnli] && tasks.map(\.jobCount) == [1, 3, 1])
        #expect(near(tasks[1].mean, 0.6) && near(tasks[1].deviation, 0.1) && tasks[0].deviation == nil)
        let score = try #require(summaries[0].mean(by: .mean))
        #expect(near(score.value, 0.25) && score.taskCount == 2)
        #expect(summaries[1].mean(by: .last)?.taskCount == 1)
    }

    @Test("the tasks of ModernBERT's table have the mean of the table")
    func paper() throws {
        let rows: [(values: [Double], mean: Double)] = [
            ([65.1, 96.0, 92.2, 91.8, 92.1, 89.1, 93.9, 87.4], 88.4),
            ([71.4, 97.1, 91.7, 92.8, 92.7, 90.8, 95.2, 92.1], 90.4),
        ]
        for row in rows {
            let jobs = zip(GLUETask.scored, row.values).map { job($0, 1, $1 / 100, $1 / 100) }
            let score = try #require(GLUESummary.summaries(jobs)[0].mean(by: .mean))
            #expect(score.taskCount == 8 && abs(score.value * 100 - row.mean) < 0.1)
        }
    }
}
