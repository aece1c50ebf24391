/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "acquire/request.h"
#include "base/num.h"
#include "config/load.h"
#include "ctl/verdict.h"

#define POINTS_MAX 8

/* One device with its registers. */
struct bench {
    struct davy_config *config;
    struct word_map map;
    struct judgement judgements[POINTS_MAX];
};

/* points and more of the one device. */
static struct bench *bench_new(const char *device)
{
    char name[] = "/tmp/davy-verdict-XXXXXX";
    struct davy_problems problems = {0};
    struct bench *bench = calloc(1, sizeof *bench);
    assert_non_null(bench);
    const int fd = mkstemp(name);
    assert_true(fd >= 0);
    dprintf(fd,
            "gateway = { id = \"g\"; site = \"s\"; }; buses = ( { name = \"b\"; type = \"tcp\"; host = \"h\"; } );"
            "devices = ( { id = \"D\"; bus = \"b\"; unit = 1; settle = 0; %s } );",
            device);
    close(fd);
    assert_int_equal(davy_config_load(name, &problems, &bench->config), 0);
    assert_int_equal(davy_requests_plan(bench->config), 0);
    davy_problems_done(&problems);
    unlink(name);
    return bench;
}

static void bench_free(struct bench *bench)
{
    davy_config_unref(bench->config);
    free(bench);
}

static void put(struct bench *bench, int address, uint16_t word)
{
    bench->map.state[DAVY_TABLE_HOLDING][address] = WORD_KNOWN;
    bench->map.value[DAVY_TABLE_HOLDING][address] = word;
}

static void put_float(struct bench *bench, int address, double value, bool swapped)
{
    const float number = (float)value;
    uint32_t raw;
    memcpy(&raw, &number, sizeof raw);
    put(bench, address + swapped, (uint16_t)(raw >> 16));
    put(bench, address + !swapped, (uint16_t)raw);
}

static const struct judgement *judge(struct bench *bench)
{
    assert_int_equal(davy_verdict_points(bench->config, 0, &bench->map, bench->judgements), 0);
    return bench->judgements;
}

static double score(struct bench *bench)
{
    return davy_verdict_score(bench->config, 0, &bench->map, judge(bench));
}

static unsigned below(struct davy_random *random, unsigned end)
{
    return (unsigned)(davy_random_next(random) % end);
}

static const char gas[] =
    "points = ( { name = \"p\"; kind = \"gas\"; unit = \"ppm\"; register = 10; type = \"float32\"; range = "
    "[0.0, 100.0]; } );";

static void a_measurement_within_its_range_looks_right(void **state)
{
    (void)state;
    struct bench *bench = bench_new(gas);
    struct davy_random random = {0};
    for (int i = 0; i < 1000; i++) {
        const double value = 0.001 + below(&random, 99998) / 1e3;
        put_float(bench, 10, value, false);
        assert_int_equal(judge(bench)->verdict, VERDICT_RIGHT);
        assert_true(fabs(bench->judgements[0].reading.value - value) < 1e-4);
        assert_int_equal(bench->judgements[0].reading.quality, DAVY_QUALITY_GOOD);
        assert_string_equal(bench->judgements[0].why, "");
    }
    bench_free(bench);
}

static void the_other_word_order_is_named_for_every_value(void **state)
{
    (void)state;
    struct bench *bench = bench_new(gas);
    struct davy_random random = {0};
    for (int i = 0; i < 1000; i++) {
        const double value = 0.5 + below(&random, 9900) / 1e2;
        put_float(bench, 10, value, true);
        const struct judgement *judgement = judge(bench);
        if (judgement->verdict == VERDICT_RIGHT)
            continue; /* its low word happens to be the high word of another measurement */
        assert_int_equal(judgement->verdict, VERDICT_DOUBTFUL);
        assert_non_null(strstr(judgement->hint, "order = \"CDAB\" gives "));
    }
    put_float(bench, 10, 20.9, true);
    assert_string_equal(judge(bench)->hint, "order = \"CDAB\" gives 20.9 ppm");
    bench_free(bench);
}

static void one_register_beside_is_named(void **state)
{
    (void)state;
    struct bench *bench = bench_new(gas);
    put_float(bench, 9, 20.9, false);
    put(bench, 11, 0xffff);
    assert_int_equal(judge(bench)->verdict, VERDICT_DOUBTFUL);
    assert_non_null(strstr(bench->judgements[0].hint, "register = 9 gives 20.9 ppm"));
    bench_free(bench);
}

static void another_type_is_named_where_a_range_tells(void **state)
{
    (void)state;
    struct bench *bench =
        bench_new("points = ( { name = \"p\"; unit = \"ppm\"; register = 10; type = \"uint16\"; range = "
                  "[0.0, 100.0]; } );");
    put_float(bench, 10, 20.9, false);
    assert_int_equal(judge(bench)->verdict, VERDICT_DOUBTFUL);
    assert_string_equal(bench->judgements[0].why, "16807 is out of the range 0 to 100");
    assert_string_equal(bench->judgements[0].hint, "type = \"float32\" gives 20.9 ppm");
    bench_free(bench);
}

static void zero_is_no_proof(void **state)
{
    (void)state;
    struct bench *bench = bench_new(gas);
    assert_false(davy_verdict_all_zero(bench->config, 0, &bench->map));
    put_float(bench, 10, 0, false);
    assert_int_equal(judge(bench)->verdict, VERDICT_ZERO);
    assert_true(davy_verdict_all_zero(bench->config, 0, &bench->map));
    put(bench, 11, 1);
    assert_false(davy_verdict_all_zero(bench->config, 0, &bench->map));
    assert_int_equal(judge(bench)->verdict, VERDICT_DOUBTFUL);
    bench_free(bench);
}

static void what_is_not_given_is_told_with_its_register(void **state)
{
    (void)state;
    struct bench *bench = bench_new(gas);
    assert_int_equal(judge(bench)->verdict, VERDICT_SILENT);
    assert_int_equal(bench->judgements[0].reading.reason, DAVY_REASON_COMM);
    put_float(bench, 10, 20.9, false);
    bench->map.state[DAVY_TABLE_HOLDING][11] = WORD_REFUSED;
    bench->map.exception[DAVY_TABLE_HOLDING][11] = 2;
    assert_int_equal(judge(bench)->verdict, VERDICT_REFUSED);
    assert_string_equal(bench->judgements[0].why, "exception 2 for holding 11");
    assert_int_equal(bench->judgements[0].reading.reason, DAVY_REASON_EXCEPTION);
    assert_false(bench->judgements[0].reading.has_value);
    bench_free(bench);
}

static void status_words_speak_as_the_daemon_hears_them(void **state)
{
    (void)state;
    struct bench *bench = bench_new("points = ( { name = \"p\"; unit = \"ppm\"; register = 10; type = \"float32\"; } );"
                                    "status = ( { register = 20; mask = 0x40; means = \"fault\"; } );");
    const struct davy_status *status = &bench->config->devices[0].status[0];
    put_float(bench, 10, 20.9, false);
    assert_int_equal(judge(bench)->reading.reason, DAVY_REASON_NO_STATUS);
    assert_false(davy_verdict_holds(status, &bench->map));
    put(bench, 20, 0xffbf);
    assert_false(davy_verdict_holds(status, &bench->map));
    assert_int_equal(judge(bench)->reading.reason, DAVY_REASON_NONE);
    put(bench, 20, 0x0040);
    assert_true(davy_verdict_holds(status, &bench->map));
    assert_int_equal(judge(bench)->reading.reason, DAVY_REASON_DEVICE_FAULT);
    assert_int_equal(bench->judgements[0].verdict, VERDICT_RIGHT); /* the value itself may well be one */
    bench_free(bench);
}

static void a_score_prefers_floats_and_many_points(void **state)
{
    (void)state;
    struct bench *whole = bench_new("points = ( { name = \"p\"; register = 10; type = \"uint16\"; } );");
    struct bench *one = bench_new(gas);
    struct bench *two = bench_new("points = ( { name = \"p\"; register = 10; type = \"float32\"; },"
                                  " { name = \"q\"; register = 12; type = \"float32\"; } );");
    struct bench *all[] = {whole, one, two};
    double scores[3];
    for (size_t i = 0; i < 3; i++) {
        assert_float_equal((float)score(all[i]), 0.0F, 1e-6F);
        put_float(all[i], 10, 20.9, false);
        put_float(all[i], 12, 3.5, false);
        scores[i] = score(all[i]);
        assert_true(scores[i] > 0 && scores[i] < 1);
    }
    assert_true(scores[0] < 0.4 && scores[0] < scores[1] && scores[1] < scores[2]);
    put_float(two, 12, 3.5, true);
    assert_true(score(two) < scores[1]);
    for (size_t i = 0; i < 3; i++)
        bench_free(all[i]);
}

static void any_registers_are_survived(void **state)
{
    (void)state;
    struct bench *bench =
        bench_new("points = ( { name = \"a\"; register = 65534; type = \"float32\"; }, { name = \"b\"; register = 0; "
                  "type = \"float64\"; },"
                  " { name = \"c\"; register = 4; type = \"int16\"; range = [0.0, 5.0]; }, { name = \"d\"; register = "
                  "5; type = \"bool\"; bit = 3; },"
                  " { name = \"e\"; table = \"coil\"; register = 3; type = \"bool\"; },"
                  " { name = \"f\"; register = 6; type = \"uint64\"; bad_values = [ 0xFFFF ]; } );");
    struct davy_random random = {0};
    for (int round = 0; round < 2000; round++) {
        for (int i = 0; i < 16; i++) {
            const int address = i < 14 ? i : 65520 + i;
            put(bench, address, (uint16_t)below(&random, 65536));
            bench->map.state[DAVY_TABLE_HOLDING][address] = (uint8_t)below(&random, 4);
        }
        judge(bench);
        for (uint32_t i = 0; i < bench->config->point_count; i++) {
            assert_true(bench->judgements[i].verdict < VERDICT_COUNT_);
            assert_true(isfinite(bench->judgements[i].reading.value));
            assert_true((bench->judgements[i].verdict == VERDICT_RIGHT) == (bench->judgements[i].why[0] == '\0'));
        }
        const double s = davy_verdict_score(bench->config, 0, &bench->map, bench->judgements);
        assert_true(s >= 0 && s < 1);
    }
    bench_free(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_measurement_within_its_range_looks_right),
        cmocka_unit_test(the_other_word_order_is_named_for_every_value),
        cmocka_unit_test(one_register_beside_is_named),
        cmocka_unit_test(another_type_is_named_where_a_range_tells),
        cmocka_unit_test(zero_is_no_proof),
        cmocka_unit_test(what_is_not_given_is_told_with_its_register),
        cmocka_unit_test(status_words_speak_as_the_daemon_hears_them),
        cmocka_unit_test(a_score_prefers_floats_and_many_points),
        cmocka_unit_test(any_registers_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
