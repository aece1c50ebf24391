/* SPDX-License-Identifier: Apache-2.0 */
/* What a broker makes us say of it, and how often it can make us log it. */
#include "publish/account.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/cmocka_all.h"

static struct davy_account account;
static struct davy_publisher_status status;
static const struct davy_mqtt_terms no_limits = {.window = UINT16_MAX};
static int saved, sink;

/* Standard error goes into memory until lines() is asked. */
static int set_up(void **state)
{
    (void)state;
    account = (struct davy_account){0};
    status = (struct davy_publisher_status){0};
    saved = dup(STDERR_FILENO);
    sink = memfd_create("log", MFD_CLOEXEC);
    assert_true(saved >= 0 && sink >= 0);
    assert_true(dup2(sink, STDERR_FILENO) >= 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dup2(saved, STDERR_FILENO);
    close(saved);
    return close(sink);
}

/* Lines that were logged so far. */
static size_t lines(void)
{
    char text[65536];
    ssize_t length = pread(sink, text, sizeof text, 0);
    size_t count = 0;
    for (ssize_t i = 0; i < length; i++)
        count += text[i] == '\n';
    return count;
}

static davy_wall at(int64_t second)
{
    return (davy_wall){second * DAVY_NS_PER_S};
}

static void a_reason_is_logged_once_a_session_and_counted_each_time(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++)
        davy_account_refusal(&account, &status, i % 2 ? "a" : "b", i % 2 ? 0x87 : 0x97, at(i));
    assert_int_equal(lines(), 2);
    assert_int_equal(status.refused, 1000);
    assert_int_equal(status.refusal_code, 0x87);
    assert_string_equal(status.refusal_topic, "a");
    davy_account_session(&account, &status, &no_limits);
    davy_account_refusal(&account, &status, "a", 0x87, at(1000));
    assert_int_equal(lines(), 3);
}

static void two_brokers_with_a_trouble_each_do_not_fill_the_log(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++)
        davy_account_error(&account, &status, (size_t)i % 2, i % 2 ? "second" : "first", "cannot connect",
                           i % 2 ? "refused" : "no route", at(i));
    assert_int_equal(lines(), 2);
    assert_string_equal(status.last_error, "cannot connect: refused");
    assert_string_equal(status.error_url, "second");
    davy_account_error(&account, &status, 0, "first", "cannot connect", "another trouble", at(100));
    assert_int_equal(lines(), 3);
}

static void a_trouble_has_its_beginning_its_end_and_its_number(void **state)
{
    (void)state;
    for (int i = 10; i < 15; i++)
        davy_account_error(&account, &status, 0, "first", "connection lost", "", at(i));
    assert_string_equal(status.last_error, "connection lost: no reason given");
    assert_true(status.error_first.ns == at(10).ns && status.error_last.ns == at(14).ns);
    assert_int_equal(status.error_count, 5);
    davy_account_error(&account, &status, 1, "second", "connection lost", "", at(20));
    assert_int_equal(status.error_count, 1); /* the same, but of another broker */
    assert_true(status.error_first.ns == at(20).ns);
}

static void texts_of_any_length_are_cut_off(void **state)
{
    (void)state;
    char longest[4096];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    davy_account_error(&account, &status, 99, longest, longest, longest, at(1));
    davy_account_refusal(&account, &status, longest, 0xFF, at(1));
    assert_int_equal(strlen(status.last_error), sizeof status.last_error - 1);
    assert_int_equal(strlen(status.error_url), sizeof status.error_url - 1);
    assert_int_equal(strlen(status.refusal_topic), sizeof status.refusal_topic - 1);
    const struct davy_mqtt_terms all = {
        .max_packet = UINT32_MAX, .no_qos_1 = true, .no_retain = true, .keep_alive_s = 65535};
    davy_account_session(&account, &status, &all);
    assert_non_null(
        strstr(status.limits, "packets of at most 4294967295 bytes; receive maximum 0; keep alive 65535 s"));
}

static void limits_are_logged_when_they_are_others(void **state)
{
    (void)state;
    const struct davy_mqtt_terms small = {.window = UINT16_MAX, .max_packet = 300};
    for (int i = 0; i < 10; i++)
        davy_account_session(&account, &status, &small);
    assert_int_equal(lines(), 1);
    davy_account_session(&account, &status, &no_limits);
    assert_string_equal(status.limits, "");
    davy_account_session(&account, &status, &small);
    assert_int_equal(lines(), 2);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_reason_is_logged_once_a_session_and_counted_each_time),
        CASE(two_brokers_with_a_trouble_each_do_not_fill_the_log),
        CASE(a_trouble_has_its_beginning_its_end_and_its_number),
        CASE(texts_of_any_length_are_cut_off),
        CASE(limits_are_logged_when_they_are_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
