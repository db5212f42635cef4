#include "worker/prompts/word_tables.h"

#include <stddef.h>

#define MALE_NAMES                                                                                 \
    "John", "James", "Robert", "Michael", "William", "David", "Richard", "Joseph", "Thomas",       \
        "Charles", "Daniel", "Matthew", "Anthony", "Mark", "Paul", "Steven", "Andrew", "Joshua",   \
        "Kevin", "Brian", "George", "Edward", "Ronald", "Timothy", "Jason", "Jeffrey", "Ryan",     \
        "Jacob", "Gary", "Nicholas", "Eric", "Jonathan", "Stephen", "Larry", "Justin", "Scott",    \
        "Brandon", "Benjamin", "Samuel", "Frank", "Alexander", "Patrick", "Jack", "Dennis",        \
        "Peter", "Henry", "Adam", "Nathan", "Simon", "Martin", "Tom", "Dan", "Sid", "Ben", "Max",  \
        "Arthur", "Albert", "Philip", "Walter", "Harold", "Frederick", "Roger", "Ralph"

#define FEMALE_NAMES                                                                               \
    "Mary", "Patricia", "Jennifer", "Linda", "Elizabeth", "Barbara", "Susan", "Jessica", "Sarah",  \
        "Karen", "Nancy", "Lisa", "Margaret", "Sandra", "Ashley", "Emily", "Donna", "Michelle",    \
        "Carol", "Amanda", "Melissa", "Laura", "Rebecca", "Stephanie", "Anna", "Amy", "Kathleen",  \
        "Angela", "Helen", "Ruth", "Emma", "Nicole", "Samantha", "Katherine", "Christine",         \
        "Rachel", "Maria", "Heather", "Diane", "Julie", "Victoria", "Joan", "Lauren", "Judith",    \
        "Alice", "Julia", "Grace", "Jane", "Kate", "Catherine", "Fanny", "Elinor", "Marianne",     \
        "Harriet", "Anne", "Louisa", "Sophie", "Lucy", "Eleanor", "Clara", "Charlotte"

const char *const WORDS_MALE_NAMES[] = {MALE_NAMES, NULL};
const char *const WORDS_FEMALE_NAMES[] = {FEMALE_NAMES, NULL};
const char *const WORDS_NAMES[] = {MALE_NAMES, FEMALE_NAMES, NULL};

const char *const WORDS_PLACES[] = {
    "store",   "park",    "school", "house",   "garden",     "station", "office", "hotel",
    "church",  "market",  "beach",  "river",   "hospital",   "library", "museum", "farm",
    "theater", "shop",    "bridge", "village", "restaurant", "castle",  "bank",   "club",
    "factory", "harbour", "forest", "airport", "court",      "town",    NULL};

const char *const WORDS_OBJECTS[] = {
    "book",    "ring",  "letter", "ball",   "drink", "key",    "hat",    "coat",
    "picture", "paper", "card",   "cup",    "box",   "bag",    "flower", "ticket",
    "watch",   "phone", "camera", "bottle", "map",   "cake",   "shirt",  "basket",
    "present", "coin",  "lamp",   "pen",    "knife", "guitar", NULL};

const char *const WORDS_EVENTS[] = {
    "war",     "siege",   "plague",   "reign",      "strike",     "revolt",    "campaign",
    "drought", "famine",  "trial",    "voyage",     "conflict",   "project",   "struggle",
    "battle",  "journey", "program",  "expedition", "rebellion",  "tour",      "exhibition",
    "debate",  "crisis",  "contract", "peace",      "occupation", "programme", "fight",
    "work",    "mission", NULL};

const char *const WORDS_NOUN_FORMS[] = {
    "dog",     "dogs",     "cat",     "cats",     "boy",     "boys",     "girl",    "girls",
    "king",    "kings",    "teacher", "teachers", "doctor",  "doctors",  "student", "students",
    "friend",  "friends",  "brother", "brothers", "sister",  "sisters",  "farmer",  "farmers",
    "writer",  "writers",  "guard",   "guards",   "horse",   "horses",   "bird",    "birds",
    "child",   "children", "man",     "men",      "woman",   "women",    "soldier", "soldiers",
    "driver",  "drivers",  "lawyer",  "lawyers",  "manager", "managers", "player",  "players",
    "worker",  "workers",  "artist",  "artists",  "officer", "officers", "lady",    "ladies",
    "captain", "captains", "uncle",   "uncles",   "cousin",  "cousins",  "actor",   "actors",
    NULL};

const char *const WORDS_VERB_FORMS[] = {"is", "are", "was", "were", "has", "have", NULL};
